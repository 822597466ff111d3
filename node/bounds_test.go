package node

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/contacts"
	"earshot/chat/courier"
	"earshot/chat/wire"
	"earshot/node/store"
)

// A test at each limit that others, or a flood of keys, can reach.

// However many strangers say hello, the disk remembers so many devices, and those of
// the acquainted outlast them.
func TestStrangersDoNotFillTheDisk(t *testing.T) {
	n := alone(t, t.TempDir())
	foe := numbered(1 << 20)
	if err := n.do(t.Context(), func(c *core) { c.meet(foe, personNo(1<<20), "Eve", time.Unix(1, 0)) }); err != nil {
		t.Fatal(err)
	}
	if err := n.BlockPerson(t.Context(), personNo(1<<20)); err != nil {
		t.Fatal(err)
	}
	const page = 512
	most := 0
	for from := 0; from < chat.MaxRememberedDevices+page; from += page {
		if err := n.do(t.Context(), func(c *core) {
			for i := from; i < from+page; i++ {
				d := numbered(i)
				c.meet(d, personNo(i), "A stranger", c.now)
				c.people.devices[d].lastSeen = c.now.Add(time.Duration(i))
				c.keepDevice(d)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if from < chat.MaxRememberedDevices-4*page {
			continue
		}
		settle(t, n)
		rows, err := n.store.Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(rows))
		for _, d := range []chat.DeviceID{n.device, foe, numbered(from + page - 1)} {
			if !slices.ContainsFunc(rows, func(r store.DeviceRow) bool { return r.Device == d }) {
				t.Fatalf("after %d, %s is forgotten", from+page, d.Short())
			}
		}
	}
	if most > chat.MaxRememberedDevices || most < chat.MaxRememberedDevices/4*3 {
		t.Errorf("%d devices were remembered", most)
	}
}

// settle waits until what the store was told is stored.
func settle(t *testing.T, n *Node) {
	t.Helper()
	stored := make(chan error, 1)
	n.store.TouchDevices(nil, func(err error) { stored <- err })
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
}

func TestStreamsThatOthersOpenAreBounded(t *testing.T) {
	n := alone(t, t.TempDir())
	for name, x := range map[string]struct {
		*places
		each, all int
	}{
		"peers": {n.peerStreams, streamsEach, maxPeerStreams}, "own devices": {n.ownStreams, streamsEach, maxOwnStreams},
		"direct": {n.directStreams, streamsEach, maxDirectStreams}, "couriers": {n.courierStreams, streamsEach, maxCourierStreams},
		"sessions": {n.answering, answeredEach, maxAnswered},
	} {
		for i := range x.all {
			if ok, _ := x.take(numbered(i / x.each)); !ok {
				t.Fatalf("%s: the place after %d is refused", name, i)
			}
		}
		if ok, own := x.take(numbered(x.all)); ok || own {
			t.Errorf("%s: one more is taken (%v), or its device blamed (%v)", name, ok, own)
		}
		if ok, own := x.take(numbered(0)); ok || !own {
			t.Errorf("%s: a device with its share is given more (%v), or not blamed (%v)", name, ok, own)
		}
	}
}

func TestWhatIsToBePassedOnIsBounded(t *testing.T) {
	c := &core{now: time.Now(), direct: newDirect()}
	room := chat.RoomID{1}
	for i := range maxRelays + 1 {
		if len(c.direct.missed) != 0 {
			t.Fatalf("after %d the rest is left to catch-up", i)
		}
		c.relayLater(room, chat.RoomTag{1}, &wire.Entry{ID: chat.EntryID{byte(i), byte(i >> 8)}})
	}
	if _, missed := c.direct.missed[room]; len(c.direct.relays) != maxRelays || !missed || c.direct.missedAt.IsZero() {
		t.Errorf("%d wait, the rest is left to catch-up: %v", len(c.direct.relays), missed)
	}
}

// Strangers who have said who they are have no more than a share of what is looked for,
// and of what is remembered of warnings.
func TestStrangersWhoAreLookedForAndWarnedOfAreBounded(t *testing.T) {
	n := alone(t, t.TempDir())
	if err := n.do(t.Context(), func(c *core) {
		for i := range maxTrusted + 10 {
			c.trust(numbered(i))
		}
		if c.trusted != maxTrusted {
			t.Errorf("%d are looked for without end", c.trusted)
		}
		for i := range maxWarned + 10 {
			c.claimed(contacts.Claim{Claimant: personNo(10 + i), Verified: contacts.Record{Person: personNo(1), Name: "Ben"}})
			if len(c.circle.warned) > maxWarned {
				t.Errorf("%d warnings are remembered", len(c.circle.warned))
				break
			}
		}
		if len(c.circle.warned) != 10 {
			t.Errorf("%d warnings are remembered after others made room", len(c.circle.warned))
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestDevicesThatOnlyGossipReachesAreBounded(t *testing.T) {
	c := &core{now: time.Now(), direct: newDirect()}
	for i := range 2 * maxElsewhere {
		c.elsewhere(numbered(i), afarFor)
	}
	if n := len(c.direct.elsewhere); n != maxElsewhere {
		t.Errorf("%d are remembered", n)
	}
}

func TestWhatWaitsForOneDeviceIsBounded(t *testing.T) {
	l := &directLink{device: numbered(1)}
	e := entry(t, 1, time.Now(), 1)
	for i := range directQueue {
		if !l.give(&gift{tag: chat.RoomTag{1}, entry: &e}) {
			t.Fatalf("the entry after %d is not taken", i)
		}
	}
	if l.give(&gift{tag: chat.RoomTag{1}, entry: &e}) || len(l.waiting) != directQueue {
		t.Errorf("%d wait, and one more is said to be given", len(l.waiting))
	}
}

// What does not fit is not forgotten: catch-up is told.
func TestWhatWaitsForGossipIsBounded(t *testing.T) {
	n := alone(t, t.TempDir())
	for len(n.outbox) < publishQueue {
		if n.gossip([]byte{1}); n.overflowed.Load() {
			t.Fatalf("with %d, it overflows", len(n.outbox))
		}
	}
	if n.gossip([]byte{2}); len(n.outbox) != publishQueue || !n.overflowed.Load() {
		t.Errorf("%d wait, overflow noted: %v", len(n.outbox), n.overflowed.Load())
	}
}

func TestReopeningsAreBounded(t *testing.T) {
	q := newReopenings()
	for i := range maxReopenings + 10 {
		q.add(reopening{epoch: uint64(i)})
		q.add(reopening{epoch: uint64(i)}) // once is enough
	}
	for i := range maxReopenings {
		if r, ok := q.take(); !ok || r.epoch != uint64(i) {
			t.Fatalf("the reopening after %d is %+v (%v)", i, r, ok)
		}
	}
	if r, more := q.take(); more {
		t.Errorf("there is one more, %+v", r)
	}
}

// An envelope that finds no place is answered with that, so that it is taken again.
func TestEnvelopesThatWaitToBeOpenedAreBounded(t *testing.T) {
	n := alone(t, t.TempDir())
	const more = 10
	says := make(chan carriedIn, maxOpenings+1+more)
	if err := n.do(t.Context(), func(c *core) {
		for i := range cap(says) { // whoever opens them waits for the loop, with one at the most
			id := courier.ID{byte(i), byte(i >> 8)}
			c.couriers.judged[id] = says
			c.openEnvelope(courier.Open{ID: id, Room: lobby})
		}
	}); err != nil {
		t.Fatal(err)
	}
	full := 0
	for range cap(says) {
		if in := <-says; in.says == wire.AnswerFull {
			full++
		}
	}
	if full < more || full > more+1 {
		t.Errorf("%d found no place", full)
	}
}

func TestTheLogsOfOneSessionAreBounded(t *testing.T) {
	n := alone(t, t.TempDir())
	ses := &session{device: numbered(1), came: map[chat.LogID][]tip{}, machine: catchup.Answer(nil)}
	for i := range maxCame - 1 {
		var log chat.LogID
		binary.BigEndian.PutUint64(log[8:], uint64(i)+1)
		ses.came[log] = []tip{{seq: 1}}
	}
	now := time.Now()
	bring := func(author byte, seq uint64) error {
		e := entry(t, author, now, seq)
		return n.ingest(t.Context(), catchup.Take{Room: lobby, Entries: []wire.RawEntry{{Head: e.Head, Sig: e.Sig[:], Payload: e.Payload}}}, ses, make(chan struct{}, 4))
	}
	for _, step := range []struct {
		author byte
		seq    uint64
		code   chat.Code
	}{{1, 1, ""}, {2, 1, chat.CodeInvalid}, {1, 2, ""}, {1, 2, chat.CodeInvalid}} {
		if err := bring(step.author, step.seq); chat.CodeOf(err) != step.code {
			t.Errorf("entry %d of author %d: %v", step.seq, step.author, err)
		}
	}
	if len(ses.came) != maxCame {
		t.Errorf("%d logs are remembered", len(ses.came))
	}
}

// Ways of one log come beside each other in a session, and no more than are kept.
func TestTheWaysOfALogThatComeInOneSessionAreBounded(t *testing.T) {
	ses := &session{came: map[chat.LogID][]tip{}}
	trunk := wire.Entry{Header: wire.Header{Seq: 1}, ID: chat.EntryID{1}}
	if !ses.follows(&trunk) {
		t.Fatal("the first is refused")
	}
	way := func(i int, seq uint64) *wire.Entry {
		e := &wire.Entry{Header: wire.Header{Seq: seq, Prev: trunk.ID}, ID: chat.EntryID{2, byte(i), byte(seq)}}
		if seq > 2 {
			e.Prev = chat.EntryID{2, byte(i), byte(seq - 1)}
		}
		return e
	}
	for seq := range uint64(10) {
		for i := range chat.MaxBranches {
			if !ses.follows(way(i, seq+2)) {
				t.Fatalf("entry %d of way %d is refused", seq+2, i)
			}
		}
	}
	if ses.follows(way(0, 11)) || ses.follows(way(chat.MaxBranches, 2)) {
		t.Error("it could go on for ever")
	}
	backwards := &session{came: map[chat.LogID][]tip{}}
	if !backwards.follows(way(0, 3)) || backwards.follows(way(0, 2)) {
		t.Error("what comes behind what follows it is taken")
	}
}
