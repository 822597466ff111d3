package membership

import (
	"bytes"
	"cmp"
	"slices"

	"earshot/chat"
)

// node is an operation in its place. All but the operation itself is settled when
// it is added, from its causal past alone, and never changes.
type node struct {
	Op
	idx   int  // in Log.nodes; ancestors have lower ones
	past  bits // strict ancestors
	depth int  // operations on the longest way to a Create

	// authorised says that the author had the right to it in the state made of
	// its past. What is not authorised has no effect, whatever arrives later.
	authorised bool
	need       Role // that the author must hold, 0 for what needs none
	// cut says that it takes something away: Remove, Leave, and a SetRole to less
	// than the person had in its past. Cuts beat what stands beside them.
	cut bool
	// founder says that it is by the creator, who has not left in its past.
	founder bool
	// heir says that the author needed to be the heir for it, and invites or
	// promotes: that confirms them as owner.
	heir bool
	// invite is what an Accept follows; a Create is its own.
	invite *node
}

// person is what a log holds about one, of authorised operations only and in the
// order of Log.nodes.
type person struct {
	id       chat.PersonID
	invites  []*node // of them
	accepts  []*node // by them; a Create accepts for those it puts in
	removals []*node // Remove of them, Leave by them
	cuts     []*node // removals, and demotions of them
	roles    []*node // SetRole of them; what confirmed them as owner
}

// pass is one of the two passes in which a set of operations is resolved. Without
// the first, two removals could each undo what the other rests on, and which of
// them counts would depend on where one begins.
type pass int

const (
	// creatorsPass voids only what stands beside a cut by the creator, and what
	// rests on that. Nothing voids the creator's own cuts. It settles the cuts.
	creatorsPass pass = iota
	// everyonesPass voids what stands beside any cut that is left, and what rests
	// on that. It settles the rest.
	everyonesPass
	passes
)

// resolver resolves one causally closed set of a log's operations, from its
// questions down: it looks only at what an answer rests on, and at that once. A
// log has one at a time.
type resolver struct {
	l   *Log
	in  bits
	gen uint64 // of Log.memo
}

// resolve returns the resolver of a set; the one before it must not be used
// again.
func (l *Log) resolve(in bits) *resolver {
	l.gen++
	for p := range l.memo {
		if n := len(l.nodes) - len(l.memo[p]); n > 0 {
			l.memo[p] = append(l.memo[p], make([]uint64, n)...)
		}
	}
	return &resolver{l: l, in: in, gen: l.gen}
}

// effective reports whether n, an operation of the set, has an effect in it. It
// ends, since the first pass asks only about ancestors, and the second about
// ancestors and the first.
func (r *resolver) effective(n *node, p pass) bool {
	if !n.authorised {
		return false
	}
	if n.cut {
		p = creatorsPass
	}
	if m := r.l.memo[p][n.idx]; m>>1 == r.gen {
		return m&1 == 1
	}
	m := r.gen << 1
	ok := !r.void(n, p) && (n.need == 0 || r.role(n.Author, n.past, p, n.need) >= n.need)
	if ok {
		m |= 1
	}
	r.l.memo[p][n.idx] = m
	return ok
}

// void reports whether a cut stands beside n that takes its author's right to it.
func (r *resolver) void(n *node, p pass) bool {
	author := r.l.people[n.Author]
	if author == nil {
		return false
	}
	for _, c := range author.cuts {
		if !r.in.has(c.idx) || !hits(c, n) || !concurrent(c, n) {
			continue
		}
		if p == creatorsPass {
			if r.creators(c) {
				return true
			}
		} else if r.effective(c, creatorsPass) {
			return true
		}
	}
	return false
}

// creators reports whether c is a cut with which the creator overrules others:
// not their own leaving, nor what stands beside it. Who has left could otherwise
// bring back whom others removed.
func (r *resolver) creators(c *node) bool {
	if !c.founder {
		return false
	}
	return !slices.ContainsFunc(r.l.people[c.Author].removals, func(leave *node) bool {
		return r.in.has(leave.idx) && leave.Author == c.Author && (leave == c || concurrent(leave, c))
	})
}

// hits reports whether c, a cut of n's author, takes their right to n.
func hits(c, n *node) bool {
	if s, ok := c.Body.(SetRole); ok {
		return s.Role < n.need
	}
	return true
}

func concurrent(a, b *node) bool {
	if a.idx > b.idx {
		a, b = b, a
	}
	return a != b && !b.past.has(a.idx)
}

// standing is what somebody is in a set, apart from being the heir.
type standing struct {
	role   Role  // 0 for who is no member
	accept *node // the member's earliest that counts
	invite *node // the member's, or of who is invited the one that counts
}

// standing returns what who is in the part of the set that is in at, which is
// closed too.
func (r *resolver) standing(who chat.PersonID, at bits, p pass) standing {
	rec := r.l.people[who]
	if rec == nil {
		return standing{}
	}
	var buf [8]*node
	grants := buf[:0]
	var s standing
	for _, a := range rec.accepts { // what would void one, its invitation does not outlive
		if at.has(a.idx) && r.effective(a.invite, p) && r.outlives(a.invite, rec, at, p) {
			if s.accept == nil || older(a, s.accept) {
				s.accept, s.invite = a, a.invite
			}
			grants = append(grants, a.invite)
		}
	}
	if s.accept == nil {
		return standing{}
	}
	for _, g := range rec.roles {
		if at.has(g.idx) && r.effective(g, p) && r.outlives(g, rec, at, p) {
			grants = append(grants, g)
		}
	}
	_, s.role = lowest(grants, who)
	return s
}

// invited returns the invitation that counts of those that stand open for who,
// nil if there is none. Whether who is a member already is not asked.
func (r *resolver) invited(who chat.PersonID, at bits, p pass) (*node, Role) {
	rec := r.l.people[who]
	if rec == nil {
		return nil, 0
	}
	var open []*node
	for _, i := range rec.invites {
		if r.open(i, rec, at, p) {
			open = append(open, i)
		}
	}
	return lowest(open, who)
}

// open reports whether i, an invitation of rec's, can be accepted in at.
func (r *resolver) open(i *node, rec *person, at bits, p pass) bool {
	return at.has(i.idx) && r.effective(i, p) && r.outlives(i, rec, at, p)
}

// outlives reports whether n was written in the knowledge of every effective
// removal of rec in at.
func (r *resolver) outlives(n *node, rec *person, at bits, p pass) bool {
	for _, rm := range rec.removals {
		if at.has(rm.idx) && !n.past.has(rm.idx) && r.effective(rm, p) {
			return false
		}
	}
	return true
}

// lowest returns, of those that none of the others was written in the knowledge
// of, the one that gives who the least, and of equals the lowest id.
func lowest(grants []*node, who chat.PersonID) (n *node, role Role) {
	slices.SortFunc(grants, func(a, b *node) int { return b.idx - a.idx })
	newest := grants[:0]
	for _, g := range grants {
		if slices.ContainsFunc(newest, func(m *node) bool { return m == g || m.past.has(g.idx) }) {
			continue
		}
		newest = append(newest, g)
		if gives := g.gives(who); n == nil || cmp.Or(cmp.Compare(gives, role), compareIDs(g.ID, n.ID)) < 0 {
			n, role = g, gives
		}
	}
	return n, role
}

// gives returns the role that a grant gives who.
func (n *node) gives(who chat.PersonID) Role {
	switch b := n.Body.(type) {
	case Invite:
		if b.Person == who {
			return b.Role
		}
	case SetRole:
		if b.Person == who {
			return b.Role
		}
	}
	return RoleOwner // founded, or confirmed as heir
}

// older reports whether a member by a has been so for longer than one by b.
func older(a, b *node) bool {
	return cmp.Or(cmp.Compare(a.depth, b.depth), compareIDs(a.ID, b.ID)) < 0
}

// role returns the role of who in at, 0 for who is no member. Who has enough of
// it for need is not looked at as the heir.
func (r *resolver) role(who chat.PersonID, at bits, p pass, need Role) Role {
	role := r.standing(who, at, p).role
	if role == 0 || role >= need || role == RoleOwner {
		return role
	}
	if heir, ok := r.heir(at, p); ok && heir == who {
		return RoleOwner
	}
	return role
}

// heir returns who is owner in at because nobody else is: of the highest role
// left, the member of the longest standing. A room whose creator is in it has an
// owner.
func (r *resolver) heir(at bits, p pass) (who chat.PersonID, ok bool) {
	if r.creatorIn(at) {
		return who, false
	}
	if l := r.l; l.owner != nil && r.standing(l.owner.id, at, p).role == RoleOwner {
		return who, false
	}
	var best standing
	for _, rec := range r.l.order {
		s := r.standing(rec.id, at, p)
		if s.role == RoleOwner {
			r.l.owner = rec
			return chat.PersonID{}, false
		}
		if s.role > best.role || (s.role != 0 && s.role == best.role && older(s.accept, best.accept)) {
			who, best = rec.id, s
		}
	}
	return who, best.role != 0
}

// creatorIn reports whether the creator has never left in at.
func (r *resolver) creatorIn(at bits) bool {
	rec := r.l.people[r.l.creator]
	return rec != nil && !slices.ContainsFunc(rec.removals, func(n *node) bool { return at.has(n.idx) })
}

// heads returns the authorised operations of the set that no other one builds on,
// by id.
func (r *resolver) heads() []*node {
	var out []*node
	var covered bits
	for i := len(r.l.nodes) - 1; i >= 0; i-- {
		if n := r.l.nodes[i]; n.authorised && r.in.has(i) && !covered.has(i) {
			out = append(out, n)
			covered = covered.or(n.past)
		}
	}
	slices.SortFunc(out, func(a, b *node) int { return compareIDs(a.ID, b.ID) })
	return out
}

// latest returns what the newest effective operation says that has a value,
// of those beside each other the one of the highest clock, then id.
func latest[V any](r *resolver, value func(Body) *V) (v V) {
	var best *node
	var covered bits
	for _, n := range slices.Backward(r.l.sets) {
		if value(n.Body) == nil || !r.in.has(n.idx) || covered.has(n.idx) || !r.effective(n, everyonesPass) {
			continue
		}
		covered = covered.or(n.past)
		if best == nil || cmp.Or(cmp.Compare(n.HLC, best.HLC), bytes.Compare(n.ID[:], best.ID[:])) > 0 {
			best = n
		}
	}
	if best == nil {
		return v
	}
	return *value(best.Body)
}
