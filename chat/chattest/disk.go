package chattest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/private"
	"earshot/chat/receipt"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// disk is a store: records in the order they came, what was opened of them, the keys
// of the private engine, and changes under way.
type disk struct {
	records    []record
	at         map[chat.EntryID]int // in records, of what is there once
	heads      map[chat.LogID]room.Log
	stripped   []int // places in records of those that came without payload
	where      map[chat.LogID]chat.RoomID
	state      map[string][]byte
	before     map[string][]byte // some changes ago; of a forgetful disk only
	changes    int
	unopened   map[chat.EntryID]private.Unopened
	retries    map[private.Retry]bool
	removals   map[chat.EntryID][]content.Removal // by what they are to remove
	edits      map[chat.EntryID][]chat.EntryID    // by what they change
	statements map[statementKey]receipt.Kept
	seen       map[chat.LogID]uint64 // how far the person has read
	// tenures says who may remove what others say in a room.
	tenures func(chat.RoomID) []content.Tenure
	// Defects: what anybody wants removed is removed; payloads are not asked for.
	obedient, incurious bool

	writes []*change
	free   time.Time // when the last write is done
	epoch  int       // writes of an earlier one are void
	failed bool      // nothing is taken until the engines know
}

func (k *disk) reset() {
	k.records, k.stripped = nil, nil
	k.before = map[string][]byte{}
	k.at, k.heads, k.where = map[chat.EntryID]int{}, map[chat.LogID]room.Log{}, map[chat.LogID]chat.RoomID{}
	k.state, k.unopened, k.retries = map[string][]byte{}, map[chat.EntryID]private.Unopened{}, map[private.Retry]bool{}
	k.removals, k.edits = map[chat.EntryID][]content.Removal{}, map[chat.EntryID][]chat.EntryID{}
	k.statements, k.seen = map[statementKey]receipt.Kept{}, map[chat.LogID]uint64{}
}

// begin is told that a process has opened the disk.
func (k *disk) begin() {
	k.stop()
	k.failed = false
}

// stop ends the writes under way.
func (k *disk) stop() {
	k.writes = nil
	k.epoch++
}

// lose is what a crash does. A disk that forgets keys goes back to those it had some
// changes ago; a forgetful disk loses besides what the device last said,
// and all that came behind it.
func (k *disk) lose(cfg *Config) {
	k.stop()
	if cfg.ForgetfulKeys {
		k.state = maps.Clone(k.before)
	}
	if !cfg.ForgetfulStore {
		return
	}
	last := len(k.records) - 1
	for last >= 0 && !k.records[last].Mine {
		last--
	}
	kept, state, unopened, retries := k.records[:max(last, 0)], k.state, k.unopened, k.retries
	k.reset()
	k.state, k.unopened, k.retries = state, unopened, retries
	for _, r := range kept {
		_ = k.store(r, true) // which refuses nothing
		k.read(&k.records[len(k.records)-1], r.said)
	}
}

// take stores all of a change.
func (k *disk) take(c *change, cfg *Config) error {
	for _, r := range c.records {
		if err := k.store(r, cfg.NoDedup); err != nil {
			return err
		}
		if r.unopened != nil {
			k.unopened[r.Entry.ID] = *r.unopened
		}
		k.read(&k.records[len(k.records)-1], r.said)
	}
	if k.changes++; cfg.ForgetfulKeys && k.changes%20 == 0 {
		k.before = maps.Clone(k.state)
	}
	for _, p := range c.state {
		if k.state[p.Key] = p.Value; p.Value == nil {
			delete(k.state, p.Key)
		}
	}
	for _, o := range c.openings {
		at, ok := k.at[o.ID]
		if !ok {
			return fmt.Errorf("%s is opened and not there", o.ID.Short())
		}
		delete(k.unopened, o.ID)
		if o.Show {
			k.read(&k.records[at], c.d.understand(o.Kind, o.Plaintext))
		}
	}
	for _, f := range c.filled {
		k.fill(c.d, f)
	}
	for _, u := range c.unopened {
		k.unopened[u.ID] = u
	}
	for _, r := range c.retries {
		k.retries[r] = true
	}
	for _, r := range c.retried {
		delete(k.retries, r)
	}
	return nil
}

// store appends a record and refuses a hole or a second copy, as a store should.
func (k *disk) store(r record, careless bool) error {
	head := k.heads[r.Entry.Log]
	if !careless && r.Entry.Seq != head.Seq+1 {
		return fmt.Errorf("number %d is stored behind %d of log %s", r.Entry.Seq, head.Seq, r.Entry.Log.Short())
	}
	k.at[r.Entry.ID] = len(k.records)
	if r.stripped {
		k.stripped = append(k.stripped, len(k.records))
	}
	k.records = append(k.records, r)
	k.where[r.Entry.Log] = r.Room
	if r.Entry.Seq > head.Seq {
		k.heads[r.Entry.Log] = room.Log{
			Log: r.Entry.Log, Device: r.Entry.Device, Person: r.Person, Seq: r.Entry.Seq, LastID: r.Entry.ID, HLC: r.Entry.HLC, Sort: r.Sort,
		}
	}
	return nil
}

func (k *disk) frontier(id chat.RoomID) []room.Log {
	var out []room.Log
	for log, head := range k.heads {
		if k.where[log] == id {
			out = append(out, head)
		}
	}
	slices.SortFunc(out, func(a, b room.Log) int { return bytes.Compare(a.Log[:], b.Log[:]) })
	return out
}

// missing returns a page of what a neighbour lacks, from position at on.
func (k *disk) missing(id chat.RoomID, have map[chat.LogID]uint64, at, page int) (out []wire.Entry, next int) {
	for next = at; next < len(k.records) && len(out) < page; next++ {
		if r := &k.records[next]; r.Room == id && r.Entry.Seq > have[r.Entry.Log] {
			out = append(out, r.Entry)
		}
	}
	return out, next
}

// closed returns the entries that could not be opened, of those that match.
func (k *disk) closed(match func(*private.Unopened) bool) (out []private.Authored) {
	for i := range k.records {
		r := &k.records[i]
		if u, ok := k.unopened[r.Entry.ID]; ok && r.Entry.Payload != nil && match(&u) {
			out = append(out, private.Authored{Entry: r.Entry, Person: r.Person})
		}
	}
	return out
}
