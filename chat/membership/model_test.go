package membership

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"earshot/chat"
)

// model says the rules again, slowly: sets are maps, nothing is remembered
// between questions but within one context, and there is no order but causality.
// It is written from PROTOCOL.md, and the log is compared with it.
type model struct {
	ops     map[chat.EntryID]Op
	pasts   map[chat.EntryID]set
	facts   map[chat.EntryID]fact
	creator chat.PersonID
	direct  bool
}

type set map[chat.EntryID]bool

// fact is what an operation's past alone says of it.
type fact struct {
	authorised, cut, founder, heir bool
	need                           Role
}

// context is a closed set in which effects are asked for.
type context struct {
	*model
	in   set
	memo map[string]bool
}

func newModel(ops []Op) *model {
	m := &model{ops: map[chat.EntryID]Op{}, pasts: map[chat.EntryID]set{}, facts: map[chat.EntryID]fact{}}
	for _, op := range ops {
		m.ops[op.ID] = op
		if c, ok := op.Body.(Create); ok {
			m.creator, m.direct = op.Author, !c.With.IsZero()
		}
	}
	return m
}

func (m *model) past(id chat.EntryID) set {
	if p, ok := m.pasts[id]; ok {
		return p
	}
	out := set{}
	for _, p := range m.ops[id].Parents {
		out[p] = true
		maps.Copy(out, m.past(p))
	}
	m.pasts[id] = out
	return out
}

func (m *model) in(s set) *context { return &context{m, s, map[string]bool{}} }

func (m *model) everything() *context {
	all := set{}
	for id := range m.ops {
		all[id] = true
	}
	return m.in(all)
}

func (m *model) concurrent(a, b chat.EntryID) bool {
	return a != b && !m.past(a)[b] && !m.past(b)[a]
}

// removes returns whom an operation removes.
func removes(op Op) chat.PersonID {
	switch b := op.Body.(type) {
	case Remove:
		return b.Person
	case Leave:
		return op.Author
	}
	return chat.PersonID{}
}

func (m *model) fact(id chat.EntryID) fact {
	if f, ok := m.facts[id]; ok {
		return f
	}
	f := m.in(m.past(id)).judge(m.ops[id])
	m.facts[id] = f
	return f
}

// select returns the authorised and effective operations of at that ok accepts.
func (c *context) find(at set, first bool, ok func(Op) bool) (out []Op) {
	for id := range at {
		if ok(c.ops[id]) && c.effective(id, first) {
			out = append(out, c.ops[id])
		}
	}
	slices.SortFunc(out, byID)
	return out
}

func (c *context) effective(id chat.EntryID, first bool) bool {
	f := c.fact(id)
	first = first || f.cut
	key := fmt.Sprint(id, first)
	if known, ok := c.memo[key]; ok {
		return known
	}
	ok := f.authorised
	op := c.ops[id]
	for other := range c.in {
		g, cut := c.fact(other), c.ops[other]
		takes := g.authorised && g.cut && removes(cut) == op.Author
		if s, ok := cut.Body.(SetRole); ok && g.authorised && g.cut {
			takes = s.Person == op.Author && s.Role < f.need
		}
		if !ok || !takes || !c.concurrent(id, other) {
			continue
		}
		if first {
			left := false // the creator, by this or beside it
			for l := range c.in {
				_, leaves := c.ops[l].Body.(Leave)
				left = left || leaves && c.ops[l].Author == c.creator && c.fact(l).authorised && (l == other || c.concurrent(l, other))
			}
			ok = !g.founder || left
		} else {
			ok = !c.effective(other, true)
		}
	}
	ok = ok && (f.need == 0 || c.role(op.Author, c.past(id), first) >= f.need)
	c.memo[key] = ok
	return ok
}

// survives returns those of ops that have every effective removal of p in at
// behind them.
func (c *context) survives(ops []Op, p chat.PersonID, at set, first bool) []Op {
	removals := c.find(at, first, func(op Op) bool { return removes(op) == p })
	return slices.DeleteFunc(slices.Clone(ops), func(op Op) bool {
		return slices.ContainsFunc(removals, func(r Op) bool { return !c.past(op.ID)[r.ID] })
	})
}

func (c *context) open(p chat.PersonID, at set, first bool) []Op {
	return c.survives(c.find(at, first, func(op Op) bool {
		i, ok := op.Body.(Invite)
		return ok && i.Person == p
	}), p, at, first)
}

// least returns the least role among those of grants that no other one has behind
// it.
func (c *context) least(grants []Op, p chat.PersonID) (least Role) {
	for _, g := range grants {
		if slices.ContainsFunc(grants, func(o Op) bool { return c.past(o.ID)[g.ID] }) {
			continue
		}
		role := RoleOwner
		if i, ok := g.Body.(Invite); ok && i.Person == p {
			role = i.Role
		} else if s, ok := g.Body.(SetRole); ok && s.Person == p {
			role = s.Role
		}
		if least == 0 || role < least {
			least = role
		}
	}
	return least
}

func (c *context) depth(id chat.EntryID) (d int) {
	for _, p := range c.ops[id].Parents {
		d = max(d, c.depth(p)+1)
	}
	return d
}

// standing returns p's role in at, and the acceptance that made them a member.
func (c *context) standing(p chat.PersonID, at set, first bool) (Role, chat.EntryID) {
	invites := c.open(p, at, first)
	var grants []Op
	var accepts []chat.EntryID
	for _, a := range c.find(at, first, func(op Op) bool { return true }) {
		switch b := a.Body.(type) {
		case Create:
			if (a.Author == p || b.With == p) && len(c.survives([]Op{a}, p, at, first)) > 0 {
				grants, accepts = append(grants, a), append(accepts, a.ID)
			}
		case Accept:
			if i := slices.IndexFunc(invites, func(i Op) bool { return i.ID == b.Invite }); a.Author == p && i >= 0 {
				grants, accepts = append(grants, invites[i]), append(accepts, a.ID)
			}
		}
	}
	if len(accepts) == 0 {
		return 0, chat.EntryID{}
	}
	grants = append(grants, c.survives(c.find(at, first, func(op Op) bool {
		s, ok := op.Body.(SetRole)
		return ok && s.Person == p || op.Author == p && c.fact(op.ID).heir
	}), p, at, first)...)
	return c.least(grants, p), slices.MinFunc(accepts, func(a, b chat.EntryID) int {
		if da, db := c.depth(a), c.depth(b); da != db {
			return da - db
		}
		return compareIDs(a, b)
	})
}

func (c *context) people() (out []chat.PersonID) {
	for _, op := range c.ops {
		out = append(out, op.Author)
		switch b := op.Body.(type) {
		case Create:
			out = append(out, b.With)
		case Invite:
			out = append(out, b.Person)
		case Remove:
			out = append(out, b.Person)
		}
	}
	slices.SortFunc(out, comparePeople)
	return slices.Compact(out)
}

// heir returns who is owner for want of one.
func (c *context) heir(at set, first bool) (heir chat.PersonID) {
	var best Role
	var since chat.EntryID
	for _, p := range c.people() {
		role, accept := c.standing(p, at, first)
		switch {
		case role == RoleOwner:
			return chat.PersonID{}
		case role == 0 || role < best:
		case role > best || c.depth(accept) < c.depth(since) || c.depth(accept) == c.depth(since) && compareIDs(accept, since) < 0:
			heir, best, since = p, role, accept
		}
	}
	return heir
}

func (c *context) role(p chat.PersonID, at set, first bool) Role {
	role, _ := c.standing(p, at, first)
	if role != 0 && c.heir(at, first) == p {
		return RoleOwner
	}
	return role
}

// judge says what the context, which is op's past, makes of op.
func (c *context) judge(op Op) (f fact) {
	own, _ := c.standing(op.Author, c.in, false)
	full := c.role(op.Author, c.in, false)
	creator := len(c.find(c.in, false, func(o Op) bool { return o.Author == c.creator && removes(o) == c.creator })) == 0
	f.founder = op.Author == c.creator && creator
	target := func(p chat.PersonID) Role {
		if r := c.role(p, c.in, false); r != 0 {
			return r
		}
		return 0
	}
	switch b := op.Body.(type) {
	case Create:
		f.authorised = true
	case Invite:
		f.need = max(RoleAdmin, b.Role)
		f.authorised = !c.direct && target(b.Person) == 0 && full >= f.need
		f.heir = own < f.need
	case Accept:
		f.authorised = own == 0 && slices.ContainsFunc(c.open(op.Author, c.in, false), func(i Op) bool { return i.ID == b.Invite })
	case Leave:
		f.cut = true
		f.authorised = own != 0 || len(c.open(op.Author, c.in, false)) > 0
	case Remove:
		f.cut, f.need = true, RoleAdmin
		theirs := target(b.Person)
		if theirs == 0 {
			theirs = c.least(c.open(b.Person, c.in, false), b.Person)
		}
		if theirs == RoleOwner {
			f.need = RoleOwner
		}
		f.authorised = !c.direct && full >= f.need && b.Person != op.Author && !(creator && b.Person == c.creator)
	case SetRole:
		f.need = RoleOwner
		f.cut = b.Role < target(b.Person)
		f.heir = own < f.need && !f.cut
		f.authorised = !c.direct && full >= f.need && target(b.Person) != 0 && !(creator && b.Person == c.creator)
	case Set:
		f.need = RoleAdmin
		f.authorised = !c.direct && full >= f.need
	case Unknown, Attest:
		f.authorised = own != 0
	}
	_, founds := op.Body.(Create)
	if _, leaves := op.Body.(Leave); op.Void && !founds && (leaves || !f.cut) {
		f.authorised, f.heir = false, false
	}
	return f
}

// state writes what summary writes of the log's.
func (m *model) state() string {
	c := m.everything()
	var members, invited, removed []string
	for _, p := range c.people() {
		if role, since := c.standing(p, c.in, false); role != 0 {
			members = append(members, fmt.Sprintf("%s %s since %s", nameOf(p), c.role(p, c.in, false), since.Short()))
		} else if open := c.open(p, c.in, false); len(open) > 0 {
			invited = append(invited, fmt.Sprintf("%s invited as %s", nameOf(p), c.least(open, p)))
		} else if len(c.find(c.in, false, func(op Op) bool { return removes(op) == p })) > 0 && !p.IsZero() {
			removed = append(removed, nameOf(p)+" removed")
		}
	}
	var sb strings.Builder
	fmt.Fprintf(&sb, "%q %q", c.latest(func(s Set) *string { return s.Name }), c.latest(func(s Set) *string { return s.Topic }))
	for _, list := range [][]string{members, invited, removed} {
		slices.Sort(list)
		fmt.Fprintf(&sb, "\n%s", strings.Join(list, ", "))
	}
	return sb.String()
}

func (c *context) latest(value func(Set) *string) string {
	sets := c.find(c.in, false, func(op Op) bool {
		s, ok := op.Body.(Set)
		return ok && value(s) != nil
	})
	var best *Op
	for i, s := range sets {
		newer := slices.ContainsFunc(sets, func(o Op) bool { return c.past(o.ID)[s.ID] })
		if !newer && (best == nil || s.HLC > best.HLC || s.HLC == best.HLC && compareIDs(s.ID, best.ID) > 0) {
			best = &sets[i]
		}
	}
	if best == nil {
		return ""
	}
	return *value(best.Body.(Set))
}
