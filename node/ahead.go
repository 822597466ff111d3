package node

import (
	"context"
	"runtime"
	"sync"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/content"
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
	said := make([]content.Said, len(show.Records))
	if c.rooms.Sealed(show.Records[0].Room) {
		said = c.peek(show)
	} else {
		for i := range show.Records {
			said[i] = show.Records[i].Said
		}
	}
	var list []store.Early
	var messages []chat.Message
	for i := range show.Records {
		r := &show.Records[i]
		c.meet(r.Entry.Device, r.Person, r.Name, minTime(r.Entry.HLC.Time(), c.now))
		if !said[i].IsMessage() || c.hidden(r.Person) {
			continue
		}
		rec := store.Record{
			Room: r.Room, Entry: r.Entry, Person: r.Person, ReceivedAt: r.ReceivedAt, Sort: r.Sort, Mine: r.Person == c.n.person,
		}
		list = append(list, store.Early{
			Room: rec.Room, Entry: rec.Entry, Person: rec.Person, ReceivedAt: rec.ReceivedAt, Sort: rec.Sort, Mine: rec.Mine,
			Text: said[i].Text, Content: c.contentOf(said[i]),
		})
		messages = append(messages, c.messageOf(&rec, said[i]))
	}
	if len(list) == 0 {
		return
	}
	n, id := c.n, show.Records[0].Room
	shown := room.Shown{Room: id}
	for i := range list {
		e := &list[i].Entry
		shown.Places = append(shown.Places, room.Early{Log: e.Log, Device: e.Device, Person: list[i].Person, Seq: e.Seq, ID: e.ID})
	}
	c.rooms.Handle(c.now, shown)
	n.store.PutEarly(list, func(cursors []chat.Cursor, err error) {
		if err != nil {
			n.storeFailed([]chat.RoomID{id}, err)
			return
		}
		var facts []fact
		for i, cursor := range cursors {
			switch {
			case i >= len(list): // something had been said about it
				facts = append(facts, fact{cursor: cursor})
			case cursor != 0:
				messages[i].Late = list[i].Late
				facts = append(facts, fact{cursor, chat.MessageEvent{Cursor: cursor, Message: messages[i]}})
			}
		}
		n.publishFacts(facts)
	})
}

// peek opens messages of a sealed room without spending their keys: what each says, if
// it can be shown now.
func (c *core) peek(show room.Show) []content.Said {
	out := make([]content.Said, len(show.Records))
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
		out[i], _ = content.Read(wire.KindMessage, plaintext) // what is wrong is refused when its turn comes
	}
	return out
}
