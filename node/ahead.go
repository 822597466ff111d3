package node

import (
	"context"
	"runtime"
	"sync"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/private"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file shows messages whose turn in their logs has not come.

// ahead checks messages that came before their turn and hands them to the loop.
func (n *Node) ahead(ctx context.Context, in catchup.Show, ses *session) error {
	entries := make([]wire.Entry, 0, len(in.Entries))
	for _, raw := range in.Entries {
		e, err := wire.DecodeEntry(raw.Head, raw.Sig, raw.Payload)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	if err := verifyAll(entries); err != nil || len(entries) == 0 {
		return err
	}
	return n.tell(ctx, func(c *core) { c.room(room.Ahead{Room: in.Room, Entries: entries, From: ses.device}) })
}

// verifyEach is how many signatures are worth a goroutine: a millisecond.
const verifyEach = 16

// verifyAll checks the signatures of entries, on all processors.
func verifyAll(entries []wire.Entry) error {
	workers := min(runtime.GOMAXPROCS(0), (len(entries)+verifyEach-1)/verifyEach)
	errs := make([]error, workers)
	check := func(w int) {
		for i := w; i < len(entries) && errs[w] == nil; i += workers {
			errs[w] = entries[i].Verify()
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Go(func() { check(w) })
	}
	if workers > 0 {
		check(0)
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// ahead stores and shows messages before their turn.
func (c *core) ahead(show room.Show) {
	texts := make([]string, len(show.Records))
	if c.rooms.Sealed(show.Records[0].Room) {
		texts = c.peek(show)
	} else {
		for i := range show.Records {
			texts[i] = show.Records[i].Text
		}
	}
	var list []store.Early
	var messages []chat.Message
	for i := range show.Records {
		r := &show.Records[i]
		c.meet(r.Entry.Device, r.Person, r.Name, minTime(r.Entry.HLC.Time(), c.now))
		if texts[i] == "" || c.hidden(r.Person) {
			continue
		}
		early := store.Early{
			Room: r.Room, Entry: r.Entry, Person: r.Person, ReceivedAt: r.ReceivedAt, Sort: r.Sort, Text: texts[i], Mine: r.Person == c.n.person,
		}
		list = append(list, early)
		messages = append(messages, chat.Message{
			ID: r.Entry.ID, Room: c.names[r.Room], RoomID: r.Room, From: c.people.author(r.Entry.Device, r.Person), Text: texts[i],
			SentAt: r.Entry.HLC.Time(), ReceivedAt: r.ReceivedAt.UTC(), Mine: early.Mine, ClockAhead: r.Sort != r.Entry.HLC,
		})
	}
	if len(list) == 0 {
		return
	}
	n, id := c.n, show.Records[0].Room
	n.store.PutEarly(list, func(cursors []chat.Cursor, err error) {
		if err != nil {
			n.storeFailed([]chat.RoomID{id}, err)
			return
		}
		for i, cursor := range cursors {
			if cursor != 0 {
				messages[i].Late = list[i].Late
				n.feed.Publish(chat.MessageEvent{Cursor: cursor, Message: messages[i]})
			}
		}
	})
}

// peek opens messages of a sealed room without spending their keys: what each says, ""
// for nothing that can be shown now.
func (c *core) peek(show room.Show) []string {
	out := make([]string, len(show.Records))
	if c.revoked() {
		return out
	}
	sealed := make([]private.Authored, len(show.Records))
	for i := range show.Records {
		sealed[i] = private.Authored{Entry: show.Records[i].Entry, Person: show.Records[i].Person}
	}
	for i, plaintext := range c.private.Peek(show.Records[0].Room, show.Shares, sealed) {
		if plaintext == nil {
			continue
		}
		if m, err := wire.DecodeMessage(plaintext); err == nil { // else refused when its turn comes
			out[i] = chat.CleanText(m.Text)
		}
	}
	return out
}
