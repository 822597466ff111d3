package membership

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"earshot/chat"
)

// Log holds the membership operations of one private room and answers who is in
// it. It is not safe for concurrent use.
type Log struct {
	room  chat.RoomID
	nodes []*node // parents before children; otherwise as they arrived
	index map[chat.EntryID]*node
	all   bits // every position in nodes

	create  *node // the first; another one by the same creator says the same
	creator chat.PersonID
	people  map[chat.PersonID]*person
	order   []*person // the same, in the order in which they were first named
	sets    []*node   // authorised Sets and Retains, in the order of nodes
	owner   *person   // who was found to be an owner last: a hint

	authored map[chat.PersonID]int
	idle     int // nodes without authority

	waiting map[chat.EntryID]Op
	wanted  map[chat.EntryID][]chat.EntryID // who waits for an absent operation
	waits   map[chat.PersonID]int           // how many of waiting are of whom

	memo  [passes][]uint64 // of effective: generation<<1 | answer
	gen   uint64
	state *State // of all, nil until asked for
	past  map[[32]byte]State
}

// NewLog returns the log of a room, without any operation.
func NewLog(room chat.RoomID) *Log {
	return &Log{
		room:  room,
		index: map[chat.EntryID]*node{}, people: map[chat.PersonID]*person{}, authored: map[chat.PersonID]int{},
		waiting: map[chat.EntryID]Op{}, wanted: map[chat.EntryID][]chat.EntryID{}, waits: map[chat.PersonID]int{},
		past: map[[32]byte]State{},
	}
}

// Add takes an operation into the log. It may come at any time, in any order, and
// again. changed says that State is another one now, its View at least; missing
// names operations that this one waits for and that the log has not seen: once
// they are added it counts by itself.
//
// The error is of chat.CodeInvalid for what no honest device makes, and of
// chat.CodeBusy where a bound was reached: the operation is not kept and may be
// offered again. What its author had no right to do is no error; it just has no
// effect.
func (l *Log) Add(op Op) (changed bool, missing []chat.EntryID, err error) {
	if l.index[op.ID] != nil {
		return false, nil, nil
	}
	if w, ok := l.waiting[op.ID]; ok {
		return false, l.absent(w.Parents), nil
	}
	if err := l.check(op); err != nil {
		return false, nil, err
	}
	if slices.ContainsFunc(op.Parents, func(p chat.EntryID) bool { return l.index[p] == nil }) {
		if err := l.wait(op); err != nil {
			return false, nil, err
		}
		return false, l.absent(op.Parents), nil
	}
	if changed, err = l.take(op); err != nil {
		return false, nil, err
	}
	for ready := []chat.EntryID{op.ID}; len(ready) > 0; ready = ready[1:] {
		children := l.wanted[ready[0]]
		delete(l.wanted, ready[0])
		for _, id := range children {
			child, ok := l.waiting[id]
			if !ok || slices.ContainsFunc(child.Parents, func(p chat.EntryID) bool { return l.index[p] == nil }) {
				continue
			}
			l.forget(id)
			if c, err := l.take(child); err == nil { // else it may be offered again
				changed = changed || c
				ready = append(ready, id)
			}
		}
	}
	return changed, nil, nil
}

// check refuses what no honest device makes.
func (l *Log) check(op Op) error {
	if err := wellFormed(op.Parents, op.Body); err != nil {
		return err
	}
	if op.ID.IsZero() || op.Author.IsZero() || slices.Contains(op.Parents, op.ID) {
		return invalid("a membership operation of nobody, or on itself")
	}
	if c, ok := op.Body.(Create); ok && (c.With == op.Author || RoomOf(op.Author, c) != l.room) {
		return invalid("a creation that did not found this room")
	}
	return nil
}

// absent returns which of parents were never added.
func (l *Log) absent(parents []chat.EntryID) (out []chat.EntryID) {
	for _, p := range parents {
		if _, waits := l.waiting[p]; !waits && l.index[p] == nil {
			out = append(out, p)
		}
	}
	return out
}

// Missing returns, by id, the operations that others wait for and that were never
// added.
func (l *Log) Missing() (out []chat.EntryID) {
	for id := range l.wanted {
		out = append(out, id)
	}
	slices.SortFunc(out, compareIDs)
	return l.absent(out)
}

// wait keeps op until its parents are there. When too many wait, those of people
// whom the room knows go first.
func (l *Log) wait(op Op) error {
	full := chat.Errorf(chat.CodeBusy, "Too many changes of this room wait for earlier ones. Offer this one again later.")
	if l.waits[op.Author] >= chat.MaxMembershipWaiting/4 {
		return full
	}
	if len(l.waiting) >= chat.MaxMembershipWaiting {
		if l.people[op.Author] == nil {
			return full
		}
		var last chat.EntryID
		for id, w := range l.waiting {
			if l.people[w.Author] == nil && compareIDs(id, last) > 0 {
				last = id
			}
		}
		if last.IsZero() {
			return full
		}
		l.forget(last)
	}
	op.Parents = slices.Clone(op.Parents)
	l.waiting[op.ID] = op
	l.waits[op.Author]++
	for _, p := range op.Parents {
		if l.index[p] == nil {
			l.wanted[p] = append(l.wanted[p], op.ID)
		}
	}
	return nil
}

// forget drops an operation that waits, and its traces.
func (l *Log) forget(id chat.EntryID) {
	op := l.waiting[id]
	delete(l.waiting, id)
	if l.waits[op.Author]--; l.waits[op.Author] == 0 {
		delete(l.waits, op.Author)
	}
	for _, p := range op.Parents {
		if list := slices.DeleteFunc(l.wanted[p], func(w chat.EntryID) bool { return w == id }); len(list) > 0 {
			l.wanted[p] = list
		} else {
			delete(l.wanted, p)
		}
	}
}

// take puts op, whose parents are there, in its place, if there is room for it.
func (l *Log) take(op Op) (changed bool, err error) {
	n := l.node(op)
	if err := l.budget(op.ID, op.Author, n.authorised); err != nil {
		return false, err
	}
	l.add(n)
	return n.authorised, nil
}

// node makes the next node of op, whose parents are there.
func (l *Log) node(op Op) *node {
	n := &node{Op: op, idx: len(l.nodes)}
	n.Parents = slices.Clone(op.Parents)
	n.past = make(bits, 0, (n.idx+63)/64)
	for _, p := range n.Parents {
		parent := l.index[p]
		n.past = n.past.or(parent.past).with(parent.idx)
		n.depth = max(n.depth, parent.depth+1)
	}
	if _, ok := op.Body.(Create); ok {
		n.authorised, n.founder, n.invite = true, true, n
	} else {
		l.authorise(n)
	}
	return n
}

// add puts a node in its place.
func (l *Log) add(n *node) {
	l.nodes, l.index[n.ID], l.all = append(l.nodes, n), n, l.all.with(n.idx)
	l.authored[n.Author]++
	if !n.authorised {
		l.idle++
		return
	}
	l.file(n)
	l.state = nil
}

// authorise settles what the past of n says of it. What is void takes from others all
// the same: who waits for a revocation to spread would otherwise be given keys again.
func (l *Log) authorise(n *node) {
	r := l.resolve(n.past)
	v, err := r.judge(n.Author, n.Body)
	if err != nil {
		return
	}
	n.authorised, n.need, n.cut = true, v.need, v.cut
	n.founder = r.founder(n.Author)
	switch b := n.Body.(type) {
	case Accept:
		n.invite = l.index[b.Invite]
	case Invite, SetRole:
		n.heir = v.heir && !v.cut
	}
	if _, leaves := n.Body.(Leave); n.Void && (leaves || !n.cut) {
		n.authorised, n.heir = false, false
	}
}

// budget keeps within bounds what is kept. Who is not the creator can't keep the
// creator from repairing the room, and what another person's operation builds on
// is kept although its author has used up their share: to refuse it would be to
// refuse that other operation.
func (l *Log) budget(id chat.EntryID, author chat.PersonID, authorised bool) error {
	free := chat.MaxMembershipOps - len(l.nodes)
	var err error
	switch {
	case free <= chat.MaxMembershipOpsPerPerson:
		err = chat.Errorf(chat.CodeBusy, "This room has seen as many changes as a room can take. Create a new one for its people.")
	case l.authored[author] >= chat.MaxMembershipOpsPerPerson && author != l.creator:
		err = chat.Errorf(chat.CodeBusy, "One person has made as many changes to this room as one may. Let another admin make the next ones.")
	case !authorised && l.idle >= chat.MaxMembershipIdle:
		err = chat.Errorf(chat.CodeBusy, "Too much was tried in this room without the right to it. Nothing needs to be done.")
	default:
		return nil
	}
	creators, others := l.awaited(id, author)
	if free > 0 && (author == l.creator && authorised || creators || others && free > chat.MaxMembershipOpsPerPerson) {
		return nil
	}
	return err
}

// awaited reports whether an operation of author's is waited for, through others
// perhaps, by one of the creator's or of another person known in the room.
func (l *Log) awaited(id chat.EntryID, author chat.PersonID) (creators, others bool) {
	seen := map[chat.EntryID]bool{}
	for next := []chat.EntryID{id}; len(next) > 0; next = next[1:] {
		for _, w := range l.wanted[next[0]] {
			if seen[w] {
				continue
			}
			seen[w] = true
			next = append(next, w)
			by := l.waiting[w].Author
			creators = creators || by == l.creator
			others = others || by != author && l.people[by] != nil
		}
	}
	return creators, others
}

// file notes n, which is authorised, with the people it is about.
func (l *Log) file(n *node) {
	switch b := n.Body.(type) {
	case Create:
		if l.create == nil {
			l.create, l.creator = n, n.Author
		}
		rec := l.person(n.Author)
		rec.accepts = append(rec.accepts, n)
		if !b.With.IsZero() {
			rec := l.person(b.With)
			rec.accepts = append(rec.accepts, n)
		}
	case Invite:
		rec := l.person(b.Person)
		rec.invites = append(rec.invites, n)
	case Accept:
		rec := l.person(n.Author)
		rec.accepts = append(rec.accepts, n)
	case Leave:
		l.person(n.Author).removed(n)
	case Remove:
		l.person(b.Person).removed(n)
	case SetRole:
		rec := l.person(b.Person)
		rec.roles = append(rec.roles, n)
		if n.cut {
			rec.cuts = append(rec.cuts, n)
		}
	case Set, Retain:
		l.sets = append(l.sets, n)
	}
	if s, ok := n.Body.(SetRole); n.heir && !(ok && s.Person == n.Author) {
		rec := l.person(n.Author)
		rec.roles = append(rec.roles, n)
	}
}

func (p *person) removed(n *node) {
	p.removals = append(p.removals, n)
	p.cuts = append(p.cuts, n)
}

func (l *Log) person(id chat.PersonID) *person {
	rec := l.people[id]
	if rec == nil {
		rec = &person{id: id}
		l.people[id] = rec
		l.order = append(l.order, rec)
	}
	return rec
}

func (l *Log) direct() bool { return l.create != nil && !l.create.Body.(Create).With.IsZero() }

// Heads returns the parents for an operation that author makes now: what no other
// authorised operation builds on, at most chat.MaxMembershipParents. Where there
// are more, the ones that author's own standing rests on come first, then those
// with most behind them.
func (l *Log) Heads(author chat.PersonID) []chat.EntryID {
	r := l.resolve(l.all)
	heads := r.heads()
	if len(heads) > chat.MaxMembershipParents {
		grounds := r.grounds(author)
		slices.SortStableFunc(heads, func(a, b *node) int {
			return cmp.Or(cmp.Compare(b.covers(grounds), a.covers(grounds)), cmp.Compare(b.depth, a.depth))
		})
		heads = heads[:chat.MaxMembershipParents]
	}
	out := make([]chat.EntryID, len(heads))
	for i, n := range heads {
		out[i] = n.ID
	}
	slices.SortFunc(out, compareIDs)
	return out
}

// grounds returns what made author what they are.
func (r *resolver) grounds(author chat.PersonID) (out []*node) {
	rec := r.l.people[author]
	if rec == nil {
		return nil
	}
	for _, list := range [][]*node{rec.accepts, rec.roles} {
		for _, n := range list {
			if r.effective(n, everyonesPass) {
				out = append(out, n)
			}
		}
	}
	return out
}

// covers returns how many of list are n or behind it.
func (n *node) covers(list []*node) (count int) {
	for _, m := range list {
		if m == n || n.past.has(m.idx) {
			count++
		}
	}
	return count
}

// May reports whether author may do b now, by what this log holds. The error is a
// sentence to them that says what to do instead.
func (l *Log) May(author chat.PersonID, b Body) error {
	if err := checkBody(b); err != nil {
		return err
	}
	if l.create == nil {
		return chat.Errorf(chat.CodeNotFound, "This device does not know the beginning of this room yet. Wait until another member's device is near.")
	}
	if _, err := l.resolve(l.all).judge(author, b); err != nil {
		return err
	}
	return l.budget(chat.EntryID{}, author, true)
}

// At returns the state in the causal past of heads, which are operations that
// somebody had seen: it is the same on every device and never changes. Those of
// heads that this log does not hold are returned as missing and left out.
func (l *Log) At(heads []chat.EntryID) (s State, missing []chat.EntryID) {
	var in bits
	for _, id := range heads {
		if n := l.index[id]; n != nil {
			in = in.or(n.past).with(n.idx)
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		return l.stateOf(in), missing
	}
	sorted := slices.Clone(heads)
	slices.SortFunc(sorted, compareIDs)
	h := sha256.New()
	for _, id := range sorted {
		h.Write(id[:])
	}
	key := [32]byte(h.Sum(nil))
	s, ok := l.past[key]
	if !ok {
		s = l.stateOf(in)
		if len(l.past) >= maxRemembered {
			clear(l.past)
		}
		l.past[key] = s
	}
	return s, nil
}

// maxRemembered bounds the states of At that are kept: messages in flight were
// written in a handful of them (guess).
const maxRemembered = 16

// State returns who is in the room by all that the log holds. Its slices must not
// be changed.
func (l *Log) State() State {
	if l.state == nil {
		s := l.stateOf(l.all)
		l.state = &s
	}
	return *l.state
}

func comparePeople(a, b chat.PersonID) int { return bytes.Compare(a[:], b[:]) }
