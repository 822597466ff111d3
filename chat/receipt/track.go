package receipt

import (
	"bytes"
	"cmp"
	"slices"

	"earshot/chat"
)

// track is how far logs have come, and in which order they last grew.
type track map[LogPrefix]grown

type grown struct {
	seq  uint64
	turn uint64 // higher for what grew later
}

// raise takes marks by maximum and reports whether any log has grown.
func (t track) raise(marks []Mark) bool {
	grew := false
	turn := uint64(0)
	for _, m := range marks {
		if m.Seq <= t[m.Log].seq {
			continue
		}
		if !grew {
			grew, turn = true, t.lastTurn()+1
		}
		t[m.Log] = grown{m.Seq, turn}
	}
	t.trim()
	return grew
}

func (t track) lastTurn() (last uint64) {
	for _, g := range t {
		last = max(last, g.turn)
	}
	return last
}

// trim lets go of the logs that have been silent the longest where a statement would
// not have room for all.
func (t track) trim() {
	if len(t) <= chat.MaxReceiptMarks {
		return
	}
	logs := make([]LogPrefix, 0, len(t))
	for log := range t {
		logs = append(logs, log)
	}
	slices.SortFunc(logs, func(a, b LogPrefix) int {
		return cmp.Or(cmp.Compare(t[a].turn, t[b].turn), bytes.Compare(a[:], b[:]))
	})
	for _, log := range logs[:len(t)-chat.MaxReceiptMarks] {
		delete(t, log)
	}
}

// marks returns everything, ascending.
func (t track) marks() []Mark {
	out := make([]Mark, 0, len(t))
	for log, g := range t {
		out = append(out, Mark{log, g.seq})
	}
	slices.SortFunc(out, byLog)
	return out
}

// above returns the marks that go beyond what is here.
func (t track) above(marks []Mark) (out []Mark) {
	for _, m := range marks {
		if m.Seq > t[m.Log].seq {
			out = append(out, m)
		}
	}
	return out
}

// rose returns the marks that go beyond old ones; both ascend.
func rose(old, now []Mark) (out []Mark) {
	for _, m := range now {
		if m.Seq > find(old, m.Log) {
			out = append(out, m)
		}
	}
	return out
}

func byLog(a, b Mark) int { return bytes.Compare(a.Log[:], b.Log[:]) }
