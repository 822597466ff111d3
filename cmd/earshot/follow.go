package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"earshot/chat"
	"earshot/chat/phrase"
	"earshot/cmd/earshot/wording"
	"earshot/node/api/client"
)

// follower shows events of one room or of all.
type follower struct {
	p    *printer
	room *chat.Room // nil for all
	// skipTo, unless it is zero, is the message behind which to begin; before is
	// the newest fact when the stream began, by which it must have come.
	skipTo chat.EntryID
	before chat.Cursor
	// shown are the messages of -n, which may come again as events.
	shown map[chat.EntryID]bool
	// are is how people are, as it was told: each once, when the stream begins or later.
	are map[chat.PersonID]string
	// bell says that alerts ring the terminal's.
	bell bool
	// edits are the newest edits that were told; lacks, which rooms something is
	// known to be missing in.
	edits map[chat.EntryID]time.Time
	lacks map[chat.RoomID]bool
}

func newFollower(p *printer) *follower {
	return &follower{
		p: p, shown: map[chat.EntryID]bool{}, are: map[chat.PersonID]string{},
		edits: map[chat.EntryID]time.Time{}, lacks: map[chat.RoomID]bool{},
	}
}

// maxEdits bounds follower.edits: past it some edits may be told as changes of
// another kind.
const maxEdits = 4096

func runFollow(ctx context.Context, a *app, args []string) (err error) {
	f := newFollower(a.p)
	from, err := f.parseFrom(a.opt)
	if err != nil {
		return err
	}
	closeLog, err := a.quietLog()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	ctx, done := untilReaderGone(ctx, a.p.out)
	defer func() { err = done(err) }()
	s, err := a.open(ctx, need{network: true, lasting: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	rooms, err := s.Rooms(ctx)
	if err != nil {
		return err
	}
	if f.p.terminal {
		alerts, err := s.Alerts(ctx)
		if err != nil {
			return err
		}
		f.bell = alerts.Bell
	}
	if len(args) > 0 {
		room, err := s.Room(ctx, args[0])
		if err != nil {
			return err
		}
		f.room, rooms = &room, []chat.Room{room}
	}
	rooms = slices.DeleteFunc(rooms, func(r chat.Room) bool { return r.Left && f.room == nil })
	// The stream begins before history is read, so that nothing falls between.
	events := s.Events(ctx, from)
	defer events.Close()
	if err := f.begin(ctx, events); err != nil {
		return err
	}
	if err := f.history(ctx, s.Client, rooms, a.opt.first); err != nil {
		return err
	}
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return err
		}
		if err := f.show(e); err != nil {
			return err
		}
	}
}

// untilReaderGone returns a context that ends when nobody reads out any more, and
// what makes of the command's error the one to end with.
func untilReaderGone(ctx context.Context, out io.Writer) (context.Context, func(error) error) {
	f, ok := out.(*os.File)
	if !ok {
		return ctx, func(err error) error { return err }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if readerGone(ctx, f) {
			cancel(syscall.EPIPE)
		}
	}()
	return ctx, func(err error) error {
		if errors.Is(context.Cause(ctx), syscall.EPIPE) {
			err = syscall.EPIPE
		}
		cancel(nil)
		<-watched
		return err
	}
}

// parseFrom reads --since: a cursor or a message id.
func (f *follower) parseFrom(o options) (client.EventsFrom, error) {
	switch {
	case o.first < 0:
		return client.EventsFrom{}, chat.Errorf(chat.CodeUsage, "-n %d makes no sense. Give a number from 0.", o.first)
	case o.since == "":
		return client.EventsFrom{}, nil
	case o.first > 0:
		return client.EventsFrom{}, chat.Errorf(chat.CodeUsage, "-n and --since both say where to begin. Give only one of them.")
	}
	if n, err := strconv.ParseUint(o.since, 10, 63); err == nil {
		return client.EventsFrom{Cursor: chat.Cursor(n), Beginning: n == 0}, nil
	}
	id, err := chat.ParseEntryID(o.since)
	if err != nil {
		return client.EventsFrom{}, err
	}
	f.skipTo = id
	return client.EventsFrom{Beginning: true}, nil
}

// begin takes the first event of the stream.
func (f *follower) begin(ctx context.Context, events *client.Stream) error {
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return err
		}
		if ready, ok := e.(chat.ReadyEvent); ok {
			f.before = ready.Cursor
			return f.show(e)
		}
	}
}

// history shows the n newest messages of the rooms.
func (f *follower) history(ctx context.Context, c *client.Client, rooms []chat.Room, n int) error {
	var all []chat.Message
	for _, r := range rooms {
		messages, err := newest(ctx, c, r.RoomID.String(), n, chat.EntryID{})
		if err != nil {
			return err
		}
		all = append(all, messages...)
	}
	if len(rooms) > 1 {
		slices.SortStableFunc(all, func(a, b chat.Message) int {
			return cmp.Compare(a.SentAt.UnixNano(), b.SentAt.UnixNano())
		})
	}
	for _, m := range all[max(0, len(all)-n):] {
		f.shown[m.ID] = true
		if err := f.p.message(m, f.room == nil); err != nil {
			return err
		}
	}
	return nil
}

// show prints one event, if it is of what is followed.
func (f *follower) show(e chat.Event) error {
	switch e := e.(type) {
	case chat.MessageEvent:
		if !f.skipTo.IsZero() {
			return f.skip(e)
		}
		if f.shown[e.ID] {
			delete(f.shown, e.ID)
			return nil
		}
	case chat.MessageChangedEvent:
		if !f.skipTo.IsZero() {
			return f.late(e.Cursor)
		}
	case chat.RoomEvent:
		if !f.skipTo.IsZero() {
			return f.late(e.Cursor)
		}
	}
	if alerts, ok := e.(chat.AlertsEvent); ok {
		f.bell = alerts.Bell
	}
	if f.room != nil && !concerns(e, f.room.RoomID) {
		return nil
	}
	if f.p.json {
		return f.p.event(e)
	}
	return f.tell(e)
}

// skip passes over a message that comes before the one to begin behind.
func (f *follower) skip(e chat.MessageEvent) error {
	if e.ID == f.skipTo {
		f.skipTo = chat.EntryID{}
		return nil
	}
	return f.late(e.Cursor)
}

// late ends the search when all stored facts have been seen.
func (f *follower) late(c chat.Cursor) error {
	if c >= f.before {
		return chat.Errorf(chat.CodeNotFound, "There is no message with the id given to --since here. Use a cursor, or an id that `earshot history --json` shows.")
	}
	return nil
}

// concerns reports whether an event has to do with a room. People do not, nor do
// those that are about the stream, which every reader needs.
func concerns(e chat.Event, room chat.RoomID) bool {
	switch e := e.(type) {
	case chat.MessageEvent:
		return e.RoomID == room
	case chat.RoomEvent:
		return e.RoomID == room
	case chat.TypingEvent:
		return e.RoomID == room
	case chat.ReadEvent:
		return e.RoomID == room
	case chat.RoomChangedEvent:
		return e.RoomID == room
	case chat.MessageChangedEvent:
		return e.RoomID == room
	case chat.StatesEvent:
		return e.RoomID == room
	case chat.MissingEvent:
		return e.RoomID == room
	case chat.AlertEvent:
		return e.RoomID == room
	case chat.PersonEvent, chat.SyncEvent, chat.ContactEvent, chat.TrayEvent, chat.InvitationEvent, chat.VerificationEvent, chat.PairingEvent, chat.PrivacyEvent, chat.KeeperEvent,
		chat.StatusEvent, chat.ProfileEvent, chat.AlertsEvent, chat.FreeEvent:
		return false
	}
	return true
}

// tell prints an event for a person. Typing, progress and what was read are for
// programs.
func (f *follower) tell(e chat.Event) error {
	now := f.p.stamp(f.p.now())
	switch e := e.(type) {
	case chat.MessageEvent:
		return f.p.message(e.Message, f.room == nil)
	case chat.MessageChangedEvent:
		return f.changed(e.Message, now)
	case chat.MissingEvent:
		f.missing(e, now)
	case chat.PersonEvent:
		if what := f.turned(e.Person); what != "" {
			return f.p.line("%s %s %s", now, cell(e.Name), what)
		}
	case chat.FreeEvent:
		return f.p.free(e)
	case chat.AlertEvent:
		if f.bell && f.p.terminal && !e.Gone && !e.Silent {
			fmt.Fprint(f.p.errs, "\a")
		}
	case chat.RoomEvent:
		return f.p.line("%s %s", f.p.stamp(e.At), joined(e))
	case chat.ContactEvent:
		if what := related(e.Contact); what != "" {
			return f.p.line("%s %s", now, what)
		}
	case chat.InvitationEvent:
		if !e.Gone {
			return f.p.line("%s %s invites you to %s: earshot room accept %s", now, called(chat.Person{Person: e.By.Person, Name: e.By.Name}), cell(e.Invitation.Room), e.RoomID.Short())
		}
	case chat.RoomChangedEvent:
		if e.What != "" {
			return f.p.line("%s %s", now, strings.TrimSpace(cell(e.By)+" "+cell(e.What)+" in "+cell(e.Room.Room)))
		}
	case chat.VerificationEvent:
		if e.State == chat.VerificationAsked {
			return f.p.line("%s %s wants to compare keys with you: earshot verify %s", now, cell(e.Name), e.Person.Short())
		}
	case chat.WarningEvent:
		if !e.Clear {
			f.p.note("%s %s", now, cell(e.Warning.Error()))
		}
	}
	return nil
}

// turned says what has become of a person: that they came or went and, of contacts,
// whether they are free. It is empty where that was told already.
func (f *follower) turned(p chat.Person) string {
	is := "has gone"
	if p.Presence == chat.Here {
		is = "is here"
		now := f.p.now().In(f.p.zone)
		if state := phrase.Status(p.Status.At(now), now); p.Relation.Known() && state != "" {
			is = "is " + state
			if text := phrase.Text(p.Status.At(now), now); text != "" {
				is += ": " + text
			}
		}
	}
	was, known := f.are[p.Person]
	f.are[p.Person] = is
	if p.Me || was == is || !known && p.Presence != chat.Here {
		return ""
	}
	return is
}

// changed tells what has become of a message: its text, or what stands under it.
func (f *follower) changed(m chat.Message, now string) error {
	in := ""
	if f.room == nil {
		in = " in " + cell(m.Room)
	}
	whose := "a message of " + cell(m.From.Name) + in
	switch {
	case m.Removed != nil && m.Removed.By.Person.IsZero():
		return f.p.line("%s %s has disappeared: its time was over", now, whose)
	case m.Removed != nil:
		return f.p.line("%s %s removed %s", now, cell(m.Removed.By.Name), whose)
	case m.EditedAt.After(f.edits[m.ID]):
		if len(f.edits) >= maxEdits {
			clear(f.edits)
		}
		f.edits[m.ID] = m.EditedAt
		return f.p.line("%s %s edited%s: %s", now, cell(m.From.Name), in, strings.ReplaceAll(chat.CleanText(m.Text), "\n", "\n      "))
	}
	var signs []string
	for _, r := range m.Reactions {
		signs = append(signs, fmt.Sprintf("%s %d", cell(r.Sign), len(r.People)))
	}
	if len(signs) == 0 {
		signs = []string{"nothing any more"}
	}
	return f.p.line("%s %s under %s of %s%s", now, strings.Join(signs, ", "), excerpt(m.Text), cell(m.From.Name), in)
}

// missing tells that something is missing where nothing was, and when it has come.
func (f *follower) missing(e chat.MissingEvent, now string) {
	had := f.lacks[e.RoomID]
	if f.lacks[e.RoomID] = len(e.Missing) > 0; len(e.Missing) == 0 {
		delete(f.lacks, e.RoomID)
	}
	switch {
	case had && len(e.Missing) == 0:
		f.p.note("%s What was missing in %s is here", now, cell(e.Room))
	case !had:
		for _, m := range e.Missing {
			f.p.note("%s %s in %s", now, cell(wording.Missing(m, m.From.Name)), cell(e.Room))
		}
	}
}

// joined puts a RoomEvent in words.
func joined(e chat.RoomEvent) string {
	who, direct := strings.CutPrefix(cell(e.Room), "@")
	switch {
	case direct && e.Joined:
		return "You can talk with " + who + " in private"
	case direct:
		return "The chat with " + who + " is closed"
	case e.Joined:
		return "You joined " + cell(e.Room)
	}
	return "You are out of " + cell(e.Room)
}

// related says what has become of a relation, as far as another person had a part in
// it.
func related(c chat.Contact) string {
	switch {
	case c.Claimant != nil:
		return claimed(c)
	case c.Relation == chat.RelationAsking && c.Note != "":
		return fmt.Sprintf("%s asks to be a contact: “%s” (earshot accept %s)", called(c.Person), cell(c.Note), c.Person.Person.Short())
	case c.Relation == chat.RelationAsking:
		return fmt.Sprintf("%s asks to be a contact: earshot accept %s", called(c.Person), c.Person.Person.Short())
	}
	return ""
}
