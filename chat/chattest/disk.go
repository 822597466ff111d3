package chattest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// disk is a store: records in the order they came, and writes under way.
type disk struct {
	records []room.Record
	heads   map[chat.LogID]room.Log
	where   map[chat.LogID]chat.RoomID
	writes  [][]room.Record
	free    time.Time // when the last write is done
	epoch   int       // writes of an earlier one are void
}

func (k *disk) reset() {
	k.records = nil
	k.heads, k.where = map[chat.LogID]room.Log{}, map[chat.LogID]chat.RoomID{}
}

// lose ends the writes under way. A forgetful disk loses besides what the device
// last said, and all that came behind it.
func (k *disk) lose(forgetful bool) {
	k.writes = nil
	k.epoch++
	if !forgetful {
		return
	}
	kept := k.records
	for i := len(kept) - 1; i >= 0; i-- {
		if kept[i].Mine {
			kept = kept[:i]
			break
		}
	}
	k.reset()
	for _, r := range kept {
		_ = k.store(r, true) // which refuses nothing
	}
}

func (k *disk) seal() { k.epoch++ }

// store appends a record and refuses a hole or a second copy, as a store should.
func (k *disk) store(r room.Record, careless bool) error {
	head := k.heads[r.Entry.Log]
	if !careless && r.Entry.Seq != head.Seq+1 {
		return fmt.Errorf("number %d is stored behind %d of log %s", r.Entry.Seq, head.Seq, r.Entry.Log.Short())
	}
	k.records = append(k.records, r)
	k.where[r.Entry.Log] = r.Room
	k.heads[r.Entry.Log] = room.Log{
		Log: r.Entry.Log, Device: r.Entry.Device, Person: r.Person, Seq: max(head.Seq, r.Entry.Seq), LastID: r.Entry.ID, HLC: r.Entry.HLC, Sort: r.Sort,
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

// check looks whether every promise was kept.
func (w *world) check() error {
	for _, id := range w.rooms {
		var first []chat.EntryID
		for _, d := range w.devices {
			if !d.engine.Entered(id) {
				continue
			}
			order, err := d.shown(id)
			if err != nil {
				return err
			}
			held := map[chat.EntryID]bool{}
			for _, e := range order {
				held[e] = true
			}
			for e, where := range w.ledger {
				if where == id && !held[e] {
					return fmt.Errorf("device %d lost %s, which had been stored", d.index, e.Short())
				}
			}
			if first == nil {
				first = order
			}
			if !slices.Equal(order, first) {
				return fmt.Errorf("device %d shows another order of room %s", d.index, id.Short())
			}
		}
	}
	return nil
}

// shown returns the entries of a room as a face shows them, each once.
func (d *device) shown(id chat.RoomID) ([]chat.EntryID, error) {
	var in []room.Record
	seen := map[chat.EntryID]bool{}
	for _, r := range d.disk.records {
		if r.Room != id {
			continue
		}
		if seen[r.Entry.ID] {
			return nil, fmt.Errorf("device %d stored %s twice", d.index, r.Entry.String())
		}
		seen[r.Entry.ID] = true
		in = append(in, r)
	}
	slices.SortFunc(in, func(a, b room.Record) int {
		return cmp.Or(cmp.Compare(a.Sort, b.Sort), bytes.Compare(a.Entry.Log[:], b.Entry.Log[:]), cmp.Compare(a.Entry.Seq, b.Entry.Seq))
	})
	var out []chat.EntryID
	for _, r := range in {
		out = append(out, r.Entry.ID)
	}
	return out, nil
}
