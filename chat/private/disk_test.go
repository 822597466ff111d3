package private

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"

	"earshot/chat"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// compareAnew makes an engine from the disk, as after a crash at this moment, and looks
// whether it knows what this one does.
func (n *node) compareAnew() {
	n.w.t.Helper()
	e, err := New(Config{Key: keyOf(n.name), Person: n.id(), Certificate: n.cert, Name: n.cfg.Name, Random: rand.NewChaCha8([32]byte{7})}, maps.Clone(n.state))
	if err != nil {
		n.w.t.Fatalf("%s does not start: %v", n.name, err)
	}
	if got := e.Snapshot(); !reflect.DeepEqual(got, n.state) {
		n.w.t.Fatalf("%s reads something else than is stored: %s", n.name, difference(got, n.state))
	}
	e.Handle(n.w.now, Start{})
	if got, want := e.Infos(), n.Infos(); !reflect.DeepEqual(got, want) {
		n.w.t.Fatalf("%s shows %+v after a crash, and showed %+v", n.name, got, want)
	}
	for id := range n.rooms {
		for _, o := range n.w.nodes {
			if e.MayWrite(id, o.id()) != n.MayWrite(id, o.id()) || n.rooms[id].concerns(o.id()) && e.Shares(id, o.dev()) != n.Shares(id, o.dev()) {
				n.w.t.Fatalf("%s is told apart by a crash in what it gives %s", n.name, o.name)
			}
		}
	}
}

func difference(a, b map[string][]byte) (out string) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if !bytes.Equal(a[k], b[k]) {
			out += "\nengine " + k
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[k]; !ok {
			out += "\nstored " + k
		}
	}
	return out
}

// append has the room engine sign an entry.
func (n *node) append(f Append) (out []wire.Entry) {
	for _, ef := range n.room.Handle(n.w.now, room.Append{Room: f.Room, Kind: f.Kind, Epoch: f.Epoch, Payload: f.Payload, Ref: f.Ref}) {
		switch ef := ef.(type) {
		case room.Commit:
			for _, rec := range ef.Records {
				n.hold(rec)
				out = append(out, rec.Entry)
			}
			last := ef.Records[len(ef.Records)-1].Entry
			if f.Shown == wire.KindMessage {
				n.read[last.ID] = string(f.Plaintext)
			}
			if f.Ref != 0 {
				n.sent[f.Ref] = last.ID
			}
		default:
			n.w.t.Fatalf("%s can't append: %#v", n.name, ef)
		}
	}
	return out
}

func (n *node) hold(rec room.Record) {
	n.records[rec.Room] = append(n.records[rec.Room], Authored{Entry: rec.Entry, Person: rec.Person})
	n.stored[rec.Entry.ID] = rec.Room
}

func (n *node) frontier(id chat.RoomID) (out []room.Log) {
	last := map[chat.LogID]room.Log{}
	for _, a := range n.records[id] {
		en := &a.Entry
		last[en.Log] = room.Log{Log: en.Log, Device: en.Device, Person: a.Person, Seq: en.Seq, LastID: en.ID, HLC: en.HLC, Sort: en.HLC}
	}
	for _, l := range last {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b room.Log) int { return bytes.Compare(a.Log[:], b.Log[:]) })
	return out
}

// take gives the room engine an entry, and this package's what comes of it.
func (n *node) take(id chat.RoomID, en wire.Entry, from *node, solicited bool) {
	n.follow(n.room.Handle(n.w.now, room.Receive{Room: id, Entry: en, From: from.dev(), Solicited: solicited}))
}

func (n *node) follow(effects []room.Effect) {
	for _, ef := range effects {
		switch ef := ef.(type) {
		case room.Commit:
			for _, rec := range ef.Records {
				n.hold(rec)
				n.do(Receive{Room: rec.Room, Authored: Authored{Entry: rec.Entry, Person: rec.Person}})
			}
		case room.Refuse:
			n.refusals = append(n.refusals, ef.Err)
		}
	}
}

func (n *node) retry(r Retry) {
	var list []Authored
	for _, a := range n.records[r.Room] {
		if _, closed := n.unopened[a.Entry.ID]; closed && (r.Device.IsZero() || r.Device == a.Entry.Device) && (r.Epoch == 0 || r.Epoch == a.Entry.Epoch) {
			list = append(list, a)
		}
	}
	if len(list) > 0 {
		n.do(Again{Room: r.Room, Entries: list})
	}
}
