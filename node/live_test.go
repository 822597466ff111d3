package node

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"earshot/chat"
	"earshot/chat/wire"
	"earshot/node/gossip"
	"earshot/node/host"
)

// recorder keeps what a node logs: message and attributes.
type recorder struct{ lines *[]string }

func (r recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r recorder) Handle(_ context.Context, rec slog.Record) error {
	line := rec.Message
	rec.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	*r.lines = append(*r.lines, line)
	return nil
}
func (r recorder) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r recorder) WithGroup(string) slog.Handler      { return r }

// quietNode is a node that does nothing but log.
func quietNode(t *testing.T) (*Node, *[]string) {
	t.Helper()
	lines := &[]string{}
	return &Node{log: slog.New(recorder{lines}), ctx: t.Context(), quiet: map[string]quiet{}}, lines
}

// bench is a validator and what it blames whom for.
type bench struct {
	*validator
	blamed map[chat.DeviceID]int
}

func newBench(self chat.DeviceID) *bench {
	b := &bench{blamed: map[chat.DeviceID]int{}}
	s := newStandings()
	b.validator = newValidator(self, s, func(d chat.DeviceID, _ error) {
		b.blamed[d]++
		s.refuse(time.Now(), d)
	})
	return b
}

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), seed))
}

func deviceOf(seed byte) chat.DeviceID { return chat.DeviceID(key(seed).Public().(ed25519.PublicKey)) }

func peerOf(seed byte) peer.ID { return host.PeerID(deviceOf(seed)) }

var lobby = chat.OpenRoom(chat.Lobby)

// entry returns an entry of author's that says it was made at that time.
func entry(t *testing.T, author byte, at time.Time, seq uint64) wire.Entry {
	t.Helper()
	log := chat.LogID{author}
	e, err := wire.Sign(key(author), wire.Header{
		Log: log, Ref: lobby.Ref(log), Seq: seq + 1, Prev: chat.EntryID{1}, HLC: chat.HLCOf(at), Kind: wire.KindMessage,
	}, wire.Marshal(wire.Message{Text: "hello"}))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func live(e wire.Entry, day time.Time) []byte { return wire.EncodeLive(lobby.Tag(day), &e) }

const (
	ann byte = iota + 1
	ben
	cleo
	self
)

func TestWhatTheLivePathTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		badSig := entry(t, ann, now, 1)
		badSig.Sig[0] ^= 1
		noPayload := entry(t, ann, now, 1)
		noPayload.Payload = nil
		for name, c := range map[string]struct {
			data   []byte
			want   gossip.Verdict
			blamed byte // Ben passed it on
		}{
			"an entry of now":            {live(entry(t, ann, now, 1), now), gossip.Accept, 0},
			"under yesterday's tag":      {live(entry(t, ann, now, 1), now.AddDate(0, 0, -1)), gossip.Accept, 0},
			"of yesterday":               {live(entry(t, ann, now.Add(-24*time.Hour), 1), now), gossip.Accept, 0},
			"too old":                    {live(entry(t, ann, now.Add(-26*time.Hour), 1), now), gossip.Ignore, 0},
			"of the epoch":               {live(entry(t, ann, time.Unix(1, 0), 1), now), gossip.Ignore, 0},
			"ahead":                      {live(entry(t, ann, now.Add(23*time.Hour), 1), now), gossip.Accept, 0},
			"far ahead, by another":      {live(entry(t, ann, now.Add(25*time.Hour), 1), now), gossip.Reject, 0},
			"far ahead, by its sender":   {live(entry(t, ben, now.Add(25*time.Hour), 1), now), gossip.Reject, ben},
			"out of all bounds ahead":    {live(entry(t, ann, now.Add(50*time.Hour), 1), now), gossip.Reject, ben},
			"at the end of time":         {live(entry(t, ann, chat.MaxHLC.Time(), 1), now), gossip.Reject, ben},
			"badly signed":               {live(badSig, now), gossip.Reject, ben},
			"without its payload":        {live(noPayload, now), gossip.Reject, ben},
			"garbage":                    {[]byte("garbage"), gossip.Reject, ben},
			"nothing":                    {nil, gossip.Reject, ben},
			"a byte behind the end":      {append(live(entry(t, ann, now, 1), now), 0), gossip.Reject, ben},
			"oversized":                  {make([]byte, wire.MaxLive+1), gossip.Reject, ben},
			"what is this device's own":  {live(entry(t, self, now, 1), now), gossip.Ignore, 0},
			"this device's own and old ": {live(entry(t, self, now.Add(-26*time.Hour), 1), now), gossip.Ignore, 0},
		} {
			b := newBench(deviceOf(self))
			if got := b.validate(peerOf(ben), c.data); got != c.want {
				t.Errorf("%s: %v, not %v", name, got, c.want)
			}
			delete(b.blamed, chat.DeviceID{})
			if c.blamed == 0 && len(b.blamed) != 0 || c.blamed != 0 && (len(b.blamed) != 1 || b.blamed[deviceOf(c.blamed)] != 1) {
				t.Errorf("%s: blamed %v", name, b.blamed)
			}
		}
	})
}

func TestAReplayIsRefusedAndWhoseItIsBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(deviceOf(self))
		b.standings.came(time.Now(), deviceOf(ben))
		b.standings.came(time.Now(), deviceOf(cleo))
		time.Sleep(time.Minute)
		data := live(entry(t, ann, time.Now(), 1), time.Now())
		if got := b.validate(peerOf(ben), data); got != gossip.Accept {
			t.Fatal(got)
		}
		time.Sleep(3 * time.Minute) // gossipsub has forgotten it

		// To Cleo it may be new: she has just started, and somebody fed her.
		if got := b.validate(peerOf(cleo), data); got != gossip.Ignore || b.blamed[deviceOf(cleo)] != 0 {
			t.Errorf("Cleo: %v %v", got, b.blamed)
		}
		// Ben has started anew since.
		b.standings.left(deviceOf(ben))
		b.standings.came(time.Now(), deviceOf(ben))
		if got := b.validate(peerOf(ben), data); got != gossip.Ignore || b.blamed[deviceOf(ben)] != 0 {
			t.Errorf("Ben: %v %v", got, b.blamed)
		}
		// Now he would know.
		fresh := live(entry(t, ann, time.Now(), 2), time.Now())
		time.Sleep(time.Second)
		b.validate(peerOf(ben), fresh)
		for range banPoints / refusalPoints {
			if got := b.validate(peerOf(ben), fresh); got != gossip.Ignore {
				t.Error(got)
			}
		}
		if !b.standings.banned(time.Now(), deviceOf(ben)) {
			t.Error("Ben plays it again and again, and nobody minds")
		}
		// Who is cut off costs nothing more.
		before := b.blamed[deviceOf(ben)]
		if got := b.validate(peerOf(ben), []byte("garbage")); got != gossip.Ignore || b.blamed[deviceOf(ben)] != before {
			t.Errorf("%v %v", got, b.blamed)
		}
		if b.standings.banned(time.Now(), deviceOf(ann)) || b.standings.banned(time.Now(), deviceOf(cleo)) {
			t.Error("others are cut off")
		}
	})
}

func TestForgedEntriesDoNotCostTheAuthorTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(deviceOf(self))
		now := time.Now()
		forged := entry(t, ann, now, 1)
		forged.Sig[0] ^= 1
		data := live(forged, now)
		for range 10 {
			b.validate(peerOf(ben), data)
		}
		if _, ok := b.standings.authors.held[deviceOf(ann)]; ok {
			t.Error("somebody else has taken Ann's tokens")
		}
	})
}

func TestAnAuthorsAndARelaysFloodIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(deviceOf(self))
		now := time.Now()
		for range authorBurst - 1 { // rather than sign so many
			b.standings.allow(&b.standings.authors, now, deviceOf(ann))
		}
		for i, want := range []gossip.Verdict{gossip.Accept, gossip.Ignore} {
			if got := b.validate(peerOf(ben), live(entry(t, ann, now, uint64(i+1)), now)); got != want {
				t.Errorf("entry %d: %v", i, got)
			}
		}
		if got := b.validate(peerOf(ben), live(entry(t, cleo, now, 1), now)); got != gossip.Accept {
			t.Errorf("another author: %v", got)
		}
		for b.standings.allow(&b.standings.relays, now, deviceOf(ben)) {
		}
		if got := b.validate(peerOf(ben), live(entry(t, cleo, now, 2), now)); got != gossip.Ignore {
			t.Errorf("beyond what Ben may pass on: %v", got)
		}
		if got := b.validate(peerOf(cleo), live(entry(t, cleo, now, 2), now)); got != gossip.Accept {
			t.Errorf("the same by Cleo: %v", got)
		}
		if len(b.blamed) != 0 {
			t.Errorf("blamed %v", b.blamed)
		}
	})
}

func TestTheValidatorRemembersABoundedNumber(t *testing.T) {
	v := newValidator(chat.DeviceID{}, newStandings(), nil)
	id := func(i int) chat.EntryID { d := numbered(i); return chat.EntryID(d) }
	for i := range recentIDs + 100 {
		v.remember(id(i), heard{})
	}
	if len(v.recent) != recentIDs || len(v.ring) != recentIDs {
		t.Errorf("%d and %d are remembered", len(v.recent), len(v.ring))
	}
	if _, ok := v.recent[id(99)]; ok {
		t.Error("the oldest are kept")
	}
	if _, ok := v.recent[id(100)]; !ok {
		t.Error("one is forgotten too soon")
	}
}

func TestATagThatLiesMustNotHideAnEntry(t *testing.T) {
	n := alone(t, t.TempDir())
	garden := chat.OpenRoom("#garden")
	now := time.Now()
	log := chat.LogID{ann}
	e, err := wire.Sign(key(ann), wire.Header{
		Log: log, Ref: garden.Ref(log), Seq: 2, Prev: chat.EntryID{1}, HLC: chat.HLCOf(now), Kind: wire.KindMessage,
	}, wire.Marshal(wire.Message{Text: "hello"}))
	if err != nil {
		t.Fatal(err)
	}
	is := func(c *core, tag chat.RoomTag, want chat.RoomID) {
		t.Helper()
		if id, ok := c.roomOf(tag, &e); id != want || ok != (want != chat.RoomID{}) {
			t.Errorf("it is for %s, %v", id.Short(), ok)
		}
	}
	tags := []chat.RoomTag{garden.Tag(now), lobby.Tag(now), {}}
	if err := n.do(t.Context(), func(c *core) {
		for _, tag := range tags {
			is(c, tag, chat.RoomID{}) // this node is not in that room
		}
		if len(c.foreign) != 1 {
			t.Errorf("%d logs are remembered as of other rooms", len(c.foreign))
		}
		// A flood of logs that nobody has heard of takes no more memory than this.
		for i := range 2 * maxForeign {
			other := e
			other.Log = chat.LogID{byte(i), byte(i >> 8), byte(i >> 16), 1}
			c.roomOf(garden.Tag(now), &other)
		}
		if len(c.foreign) > maxForeign {
			t.Errorf("%d logs are remembered as of other rooms", len(c.foreign))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.JoinRoom(t.Context(), "garden"); err != nil {
		t.Fatal(err)
	}
	if err := n.do(t.Context(), func(c *core) {
		for _, tag := range tags {
			is(c, tag, garden)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
