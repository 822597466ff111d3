package membership

import (
	"slices"

	"earshot/chat"
)

// Len returns how many operations are in their place: all that were added and whose
// pasts are held.
func (l *Log) Len() int { return len(l.nodes) }

// ID returns the id of the operation in place i, from 0: parents come before what
// builds on them, and a place never changes.
func (l *Log) ID(i int) chat.EntryID { return l.nodes[i].ID }

// Has reports whether an operation is in its place.
func (l *Log) Has(id chat.EntryID) bool { return l.index[id] != nil }

// Waits reports whether an operation waits for others that it builds on.
func (l *Log) Waits(id chat.EntryID) bool {
	_, waits := l.waiting[id]
	return waits
}

// Op returns an operation that is in its place. Its parents must not be changed.
func (l *Log) Op(id chat.EntryID) (op Op, ok bool) {
	if n := l.index[id]; n != nil {
		return n.Op, true
	}
	return Op{}, false
}

// Ever reports whether somebody has been a member of the room, in the sight of the
// operation that made them one.
func (l *Log) Ever(p chat.PersonID) bool {
	rec := l.people[p]
	return rec != nil && len(rec.accepts) > 0
}

// Past returns the places of ids, as far as they are held, and of everything in their
// causal past, ascending.
func (l *Log) Past(ids []chat.EntryID) (places []int) {
	var in bits
	for _, id := range ids {
		if n := l.index[id]; n != nil {
			in = in.or(n.past).with(n.idx)
		}
	}
	for i := range l.nodes {
		if in.has(i) {
			places = append(places, i)
		}
	}
	return places
}

// Exits returns by which removals somebody who is out went out: those with an effect
// that ended an invitation of theirs, accepted or not, which no earlier one had ended,
// and that no later one of these builds on. There are none for who is in, or was never
// invited: who is merely named in a Remove went nowhere.
func (l *Log) Exits(p chat.PersonID) (out []Op) {
	rec := l.people[p]
	if rec == nil {
		return nil
	}
	r := l.resolve(l.all)
	if r.now(p).role != 0 {
		return nil
	}
	grounds := rec.invites
	for _, a := range rec.accepts {
		if a.invite == a { // the creation
			grounds = append(slices.Clip(grounds), a)
		}
	}
	var removals []*node
	for _, n := range rec.removals {
		if r.effective(n, everyonesPass) {
			removals = append(removals, n)
		}
	}
	ends := func(n *node) bool {
		return slices.ContainsFunc(grounds, func(i *node) bool {
			return !i.past.has(n.idx) && !slices.ContainsFunc(removals, func(m *node) bool {
				return n.past.has(m.idx) && !i.past.has(m.idx)
			})
		})
	}
	list := slices.DeleteFunc(slices.Clone(removals), func(n *node) bool { return !ends(n) })
	for _, n := range list {
		if !slices.ContainsFunc(list, func(m *node) bool { return m.past.has(n.idx) }) {
			out = append(out, n.Op)
		}
	}
	return out
}

// Offer adds an operation of somebody whose right to be heard is not known: it is
// taken only if all that it builds on is held and its author had the right to it.
// changed is as in Add; the error is of chat.CodeDenied where the right is lacking.
func (l *Log) Offer(op Op) (changed bool, err error) {
	if l.index[op.ID] != nil {
		return false, nil
	}
	if err := l.check(op); err != nil {
		return false, err
	}
	if _, waits := l.waiting[op.ID]; waits || len(l.absent(op.Parents)) > 0 {
		return false, denied("This change of a room builds on others that are not known here. Offer those first.")
	}
	if _, founds := op.Body.(Create); !founds {
		var past bits
		for _, id := range op.Parents {
			n := l.index[id]
			if n == nil { // it waits itself
				return false, denied("This change of a room builds on others that are not known here. Offer those first.")
			}
			past = past.or(n.past).with(n.idx)
		}
		if _, err := l.resolve(past).judge(op.Author, op.Body); err != nil {
			return false, err
		}
	}
	changed, _, err = l.Add(op)
	return changed, err
}

// Restore puts an operation in the next place, which it had in a log that went before
// this one: it is not weighed again what of it may be kept.
func (l *Log) Restore(op Op) error {
	if err := l.check(op); err != nil {
		return err
	}
	if l.index[op.ID] != nil || slices.ContainsFunc(op.Parents, func(p chat.EntryID) bool { return l.index[p] == nil }) {
		return invalid("an operation that is not next in its log")
	}
	l.add(l.node(op))
	return nil
}

// Weigh settles anew which operations are void, those that wait included, and reports
// whether State may be another one now. It goes through the whole log if any is.
func (l *Log) Weigh(void func(Op) bool) (changed bool) {
	for id, op := range l.waiting {
		op.Void = void(op)
		l.waiting[id] = op
	}
	if !slices.ContainsFunc(l.nodes, func(n *node) bool { return n.Void != void(n.Op) }) {
		return false
	}
	anew := NewLog(l.room)
	anew.waiting, anew.wanted, anew.waits = l.waiting, l.wanted, l.waits
	for _, n := range l.nodes {
		op := n.Op
		op.Void = void(op)
		anew.add(anew.node(op))
	}
	*l = *anew
	return true
}
