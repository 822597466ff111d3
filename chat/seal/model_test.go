package seal

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

// world is a few devices whose ideas of who is in the room differ, that get each
// other's entries late, in another order or twice, and that restart or lose all
// keys. The model is simple: who was named when a message was sealed reads it in
// the end, once, and nobody else ever does.
type world struct {
	t       *rapid.T
	members []*member
	views   []map[int]bool // whom each device believes to be in the room
	flying  [][][]wire.Entry
	said    []saying
	read    []map[chat.EntryID]bool // of each device since it lost its keys
	waits   []map[chat.EntryID]bool // likewise: what is to be handed over again
	seen    []int                   // of each device's effects
	lost    []int                   // how many messages were said when it last lost its keys; -1 for never
	epochs  []map[uint64]bool
	now     time.Time
}

type saying struct {
	author int
	id     chat.EntryID
	text   string
	to     map[int]bool
}

func newWorld(t *testing.T, rt *rapid.T, n int) *world {
	w := &world{t: rt, now: noon}
	keeps := rapid.Bool().Draw(rt, "history is kept")
	for i := range n {
		m := newMember(t, fmt.Sprint("device ", i))
		m.t, m.keeps = rt, keeps
		w.members = append(w.members, m)
		w.views = append(w.views, map[int]bool{})
		w.flying = append(w.flying, make([][]wire.Entry, n))
		w.read = append(w.read, map[chat.EntryID]bool{})
		w.waits = append(w.waits, map[chat.EntryID]bool{})
		w.epochs = append(w.epochs, map[uint64]bool{})
		w.lost = append(w.lost, -1)
		w.seen = append(w.seen, 0)
	}
	for i := range n {
		for j := range n {
			w.views[i][j] = rapid.Bool().Draw(rt, "knows")
		}
		w.learn(i)
	}
	return w
}

// learn tells a device whom it now believes to be in the room.
func (w *world) learn(i int) {
	var with []*member
	for j, in := range w.views[i] {
		if in && j != i {
			with = append(with, w.members[j])
		}
	}
	w.send(i, w.members[i].share(office, with...))
}

// send lets entries go out, and looks at what else the device has done.
func (w *world) send(i int, entries []wire.Entry) {
	m := w.members[i]
	for _, en := range entries {
		if en.Kind != wire.KindKeyRequest {
			w.epochs[i][en.Epoch] = true
		}
		for j := range w.members {
			if j != i {
				w.flying[j][i] = append(w.flying[j][i], en)
			}
		}
	}
	for _, f := range m.effects[w.seen[i]:] {
		switch f := f.(type) {
		case Opened:
			w.opened(i, f)
			delete(w.waits[i], f.ID)
		case Waiting:
			w.waits[i][f.ID] = true
		case Unreadable:
			delete(w.waits[i], f.ID)
		case Refuse, Alarm, Excluded, Deny:
			w.t.Fatalf("%s: %T %+v", m.name, f, f)
		case Acknowledge:
			if rapid.Bool().Draw(w.t, "ack arrives") {
				to := slices.IndexFunc(w.members, func(o *member) bool { return o.device == f.To })
				w.members[to].do(Acknowledged{From: m.device, Root: f.Root})
			}
		}
	}
	w.seen[i] = len(m.effects)
}

func (w *world) opened(i int, f Opened) {
	k := slices.IndexFunc(w.said, func(s saying) bool { return s.id == f.ID })
	switch s := w.said[k]; {
	case s.text != string(f.Plaintext):
		w.t.Fatalf("%q was read as %q", s.text, f.Plaintext)
	case !s.to[i]:
		w.t.Fatalf("device %d reads %q, which was not for it", i, s.text)
	case w.read[i][f.ID]:
		w.t.Fatalf("device %d reads %q twice", i, s.text)
	}
	w.read[i][f.ID] = true
}

func (w *world) say(i int) {
	text := fmt.Sprint("message ", len(w.said))
	sent := w.members[i].say(office, text)
	s := saying{author: i, id: sent[len(sent)-1].ID, text: text, to: map[int]bool{}}
	for j, in := range w.views[i] {
		s.to[j] = in && j != i
	}
	w.said = append(w.said, s)
	w.send(i, sent)
}

// restart starts a device anew. Its own epochs end with that, so only so often.
func (w *world) restart(i int) {
	w.members[i].start()
	w.learn(i)
}

func (w *world) lose(i int) {
	w.members[i].state = map[string][]byte{}
	w.lost[i] = len(w.said)
	w.read[i] = map[chat.EntryID]bool{}
	w.restart(i)
	for a, author := range w.members { // it has all entries, and hands them over again
		if a != i {
			w.flying[i][a] = slices.Clone(author.logs[office])
		}
	}
}

// deliver hands a device something of one author: what is next, or a message that
// only messages stand before.
func (w *world) deliver(i int) {
	from := rapid.IntRange(0, len(w.members)-1).Draw(w.t, "from")
	line := w.flying[i][from]
	if len(line) == 0 {
		return
	}
	ahead := 0
	for ahead < len(line)-1 && line[ahead].Kind == wire.KindMessage && line[ahead+1].Kind == wire.KindMessage {
		ahead++
	}
	k := rapid.IntRange(0, ahead).Draw(w.t, "which")
	en := line[k]
	if en.Kind != wire.KindMessage || rapid.IntRange(0, 3).Draw(w.t, "fate") > 0 { // else it comes again
		w.flying[i][from] = slices.Delete(line, k, k+1)
	}
	w.send(i, w.members[i].hear(office, en))
}

func (w *world) step() {
	i := rapid.IntRange(0, len(w.members)-1).Draw(w.t, "who")
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 120).Draw(w.t, "minutes")) * time.Minute)
	for _, m := range w.members {
		m.now = w.now
	}
	calm := len(w.epochs[i]) > maxEpochs-4 // older ones would be forgotten before they are heard
	switch what := rapid.IntRange(0, 19).Draw(w.t, "what"); {
	case what < 6:
		w.say(i)
	case what < 8:
		j := rapid.IntRange(0, len(w.members)-1).Draw(w.t, "whom")
		if !calm || !w.views[i][j] {
			w.views[i][j] = !w.views[i][j]
			w.learn(i)
		}
	case what == 8 && !calm:
		w.restart(i)
	case what == 9 && !calm:
		w.lose(i)
	case what == 10 && !calm:
		w.members[i].do(Rotate{Room: office})
	case what == 11:
		w.send(i, w.members[i].do(Tick{}))
	default:
		w.deliver(i)
	}
}

// missing returns a message that a device should have read and has not.
func (w *world) missing() string {
	for k, s := range w.said {
		for i := range w.members {
			// Keys that the reader and then the author have lost are nowhere.
			nowhere := w.lost[i] >= 0 && w.lost[s.author] > k
			if s.to[i] && !w.read[i][s.id] && !nowhere {
				return fmt.Sprintf("device %d (lost its keys at %d) never read %q of device %d (at %d)", i, w.lost[i], s.text, s.author, w.lost[s.author])
			}
		}
	}
	return ""
}

// heal lets everything arrive, everybody be in, and days pass.
func (w *world) heal() {
	for i := range w.members {
		for j := range w.members {
			w.views[i][j] = true
		}
		w.learn(i)
	}
	for range 20 {
		for moved := true; moved; {
			moved = false
			for i, m := range w.members {
				for a := range w.members {
					line := w.flying[i][a]
					w.flying[i][a] = nil
					for _, en := range line {
						if w.read[i][en.ID] {
							continue
						}
						moved = true
						w.send(i, m.hear(office, en))
					}
				}
			}
		}
		if w.missing() == "" {
			return
		}
		w.now = w.now.Add(askAgain)
		for i, m := range w.members {
			m.now = w.now
			w.send(i, m.do(Tick{}))
			for a, author := range w.members { // what waited for a day is handed over again
				for _, en := range author.logs[office] {
					if w.waits[i][en.ID] {
						w.flying[i][a] = append(w.flying[i][a], en)
					}
				}
			}
		}
	}
}

func TestWhoIsNamedReadsAndNobodyElseWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt, rapid.IntRange(2, 5).Draw(rt, "devices"))
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			w.step()
		}
		for _, m := range w.members {
			m.wantPersisted()
		}
		w.heal()
		if lack := w.missing(); lack != "" {
			rt.Fatalf("%s", lack)
		}
		for _, m := range w.members {
			m.wantPersisted()
		}
	})
}
