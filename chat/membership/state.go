package membership

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"earshot/chat"
)

// State is who is in a room and what is settled about it. The lists are in
// ascending order of person.
type State struct {
	// Creator is zero, and all the rest with it, as long as the creation is
	// missing.
	Creator chat.PersonID
	History History
	Direct  bool // a chat of two
	// Name and Topic are as their author wrote them: they pass chat.CleanName
	// before a face sees them. "" where there is none.
	Name, Topic string
	// Disappear is after what time new messages disappear, Keep how long any is kept;
	// 0 for ever.
	Disappear, Keep time.Duration
	Members         []Member
	Invited         []Invited
	Removed         []Removed
	// View stands for what the state is made of: the newest operations, and the
	// members with their roles. Equal views are equal states.
	View [32]byte
}

// Member is somebody who is in the room.
type Member struct {
	Person chat.PersonID
	Role   Role
	// Heir says that they are owner only because no other owner is left.
	Heir   bool
	Since  chat.EntryID // their Accept; for whom the creation put in, that
	Invite chat.EntryID // the Invite that it follows; likewise
}

// Invited is somebody who may accept.
type Invited struct {
	Person chat.PersonID
	Role   Role // that they would have
	By     chat.PersonID
	Invite chat.EntryID
}

// Removed is somebody who was in the room or invited, or was barred from it, and
// has no invitation now.
type Removed struct {
	Person chat.PersonID
	By     chat.PersonID // the person themselves, if they left or declined
	Op     chat.EntryID  // the newest removal; of several the lowest id
}

// Member returns what somebody is in the room; ok is false for who is no member.
func (s State) Member(p chat.PersonID) (m Member, ok bool) {
	i, ok := slices.BinarySearchFunc(s.Members, p, func(m Member, p chat.PersonID) int { return comparePeople(m.Person, p) })
	if !ok {
		return Member{}, false
	}
	return s.Members[i], true
}

// Invitation returns somebody's open invitation; ok is false if they have none.
func (s State) Invitation(p chat.PersonID) (i Invited, ok bool) {
	at, ok := slices.BinarySearchFunc(s.Invited, p, func(i Invited, p chat.PersonID) int { return comparePeople(i.Person, p) })
	if !ok {
		return Invited{}, false
	}
	return s.Invited[at], true
}

// stateOf resolves a causally closed set.
func (l *Log) stateOf(in bits) State {
	r := l.resolve(in)
	heads := r.heads()
	if len(heads) == 0 {
		return State{View: l.view(nil, nil)}
	}
	create := l.create.Body.(Create)
	s := State{
		Creator: l.creator, History: create.History, Direct: l.direct(),
		Name:      latest(r, func(b Body) *string { s, _ := b.(Set); return s.Name }),
		Topic:     latest(r, func(b Body) *string { s, _ := b.(Set); return s.Topic }),
		Disappear: seconds(latest(r, func(b Body) *uint64 { s, _ := b.(Retain); return s.Disappear })),
		Keep:      seconds(latest(r, func(b Body) *uint64 { s, _ := b.(Retain); return s.Keep })),
	}
	heir, inherited := r.heir(in, everyonesPass)
	for _, rec := range l.order {
		if m := r.now(rec.id); m.role != 0 {
			member := Member{Person: rec.id, Role: m.role, Since: m.accept.ID, Invite: m.invite.ID}
			if inherited && rec.id == heir {
				member.Role, member.Heir = RoleOwner, true
			}
			s.Members = append(s.Members, member)
		} else if i, role := r.invited(rec.id, in, everyonesPass); i != nil {
			s.Invited = append(s.Invited, Invited{Person: rec.id, Role: role, By: i.Author, Invite: i.ID})
		} else if rm := r.removal(rec); rm != nil {
			s.Removed = append(s.Removed, Removed{Person: rec.id, By: rm.Author, Op: rm.ID})
		}
	}
	slices.SortFunc(s.Members, func(a, b Member) int { return comparePeople(a.Person, b.Person) })
	slices.SortFunc(s.Invited, func(a, b Invited) int { return comparePeople(a.Person, b.Person) })
	slices.SortFunc(s.Removed, func(a, b Removed) int { return comparePeople(a.Person, b.Person) })
	s.View = l.view(heads, s.Members)
	return s
}

// removal returns the effective removal of rec that no other one builds on, of
// several that of the lowest id, nil if there is none.
func (r *resolver) removal(rec *person) *node {
	var list []*node
	for _, rm := range rec.removals {
		if r.in.has(rm.idx) && r.effective(rm, everyonesPass) {
			list = append(list, rm)
		}
	}
	list = slices.DeleteFunc(slices.Clone(list), func(a *node) bool {
		return slices.ContainsFunc(list, func(b *node) bool { return b.past.has(a.idx) })
	})
	if len(list) == 0 {
		return nil
	}
	return slices.MinFunc(list, func(a, b *node) int { return compareIDs(a.ID, b.ID) })
}

// view hashes what a state is made of (PROTOCOL.md#membership).
func (l *Log) view(heads []*node, members []Member) [32]byte {
	h := sha256.New()
	h.Write([]byte(domainView))
	h.Write(l.room[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(heads))))
	for _, n := range heads {
		h.Write(n.ID[:])
	}
	for _, m := range members {
		h.Write(m.Person[:])
		h.Write([]byte{byte(m.Role)})
	}
	return [32]byte(h.Sum(nil))
}
