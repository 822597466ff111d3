package tui

import (
	"context"
	"slices"
	"time"

	"earshot/chat"
)

// told is what the fake knows beside the messages themselves.
type told struct {
	stories map[chat.EntryID]chat.MessageDetail // without the messages
	missing map[chat.RoomID][]chat.Missing
	keeps   chat.Keeper
}

// at returns a message, nil if it is not there. f.mu is held, or f is not shared.
func (f *fake) at(id chat.EntryID) *chat.Message {
	for _, msgs := range f.said {
		if i := slices.IndexFunc(msgs, func(m chat.Message) bool { return m.ID == id }); i >= 0 {
			return &msgs[i]
		}
	}
	return nil
}

var errNoMessage = chat.Errorf(chat.CodeNotFound, "There is no such message here.")

// become changes a message and returns it.
func (f *fake) become(call string, id chat.EntryID, change func(*chat.Message), args ...any) (chat.Message, error) {
	err := f.enter(call, args...)
	defer f.mu.Unlock()
	m := f.at(id)
	switch {
	case err != nil:
		return chat.Message{}, err
	case m == nil:
		return chat.Message{}, errNoMessage
	}
	change(m)
	return *m, nil
}

func (f *fake) Message(_ context.Context, id chat.EntryID) (chat.MessageDetail, error) {
	err := f.enter("message", id.Short())
	defer f.mu.Unlock()
	m := f.at(id)
	switch {
	case err != nil:
		return chat.MessageDetail{}, err
	case m == nil:
		return chat.MessageDetail{}, errNoMessage
	}
	d := f.stories[id]
	d.Message = *m
	return d, nil
}

func (f *fake) Edit(_ context.Context, id chat.EntryID, text string) (chat.Message, error) {
	return f.become("edit", id, func(m *chat.Message) { m.Text, m.EditedAt = text, f.clock }, text)
}

func (f *fake) Delete(_ context.Context, id chat.EntryID) (chat.Message, error) {
	return f.become("delete", id, func(m *chat.Message) {
		m.Removed = &chat.Removal{By: chat.Author{Person: f.me.Person, Name: f.me.Name}, At: f.clock}
		m.Text, m.Reactions = "", nil
	})
}

func (f *fake) React(_ context.Context, id chat.EntryID, sign string, on bool) (chat.Message, error) {
	return f.become("react", id, func(m *chat.Message) {
		m.Reactions = slices.DeleteFunc(slices.Clone(m.Reactions), func(r chat.Reaction) bool { return r.Sign == sign && r.Mine })
		if on {
			m.Reactions = append(m.Reactions, chat.Reaction{Sign: sign, People: []chat.PersonID{f.me.Person}, Mine: true})
		}
	}, sign, on)
}

func (f *fake) Missing(_ context.Context, room chat.RoomID) ([]chat.Missing, error) {
	err := f.enter("missing", f.nameOf(room))
	defer f.mu.Unlock()
	return slices.Clone(f.missing[room]), err
}

func (f *fake) View(_ context.Context, room chat.RoomID) error {
	name := f.nameOf(room)
	defer f.mu.Unlock()
	return f.enter("view", name)
}

func (f *fake) last(call string, room chat.RoomID, d time.Duration, set func(*chat.Room)) error {
	err := f.enter(call, f.nameOf(room), d)
	defer f.mu.Unlock()
	if err == nil {
		f.change(room, set)
	}
	return err
}

func (f *fake) SetDisappear(_ context.Context, room chat.RoomID, d time.Duration) error {
	return f.last("disappear", room, d, func(r *chat.Room) { r.DisappearAfter = int64(d / time.Second) })
}

func (f *fake) SetRetention(_ context.Context, room chat.RoomID, d time.Duration) error {
	return f.last("keep", room, d, func(r *chat.Room) { r.KeepFor = int64(d / time.Second) })
}

func (f *fake) Keeper(context.Context) (chat.Keeper, error) {
	err := f.enter("keeper")
	defer f.mu.Unlock()
	return f.keeps, err
}

func (f *fake) SetKeeper(_ context.Context, on bool, space int64) (chat.Keeper, error) {
	err := f.enter("setkeeper", on, space)
	defer f.mu.Unlock()
	if err == nil {
		f.keeps.On, f.keeps.Space = on, space
	}
	return f.keeps, err
}
