package contacts

import (
	"slices"
	"strings"
	"time"

	"earshot/chat"
)

// This file is what this person makes of a contact, and nobody else learns.

// Sorting is what this person has made of a contact. Each part has the time at which
// it was decided, and the later decision counts on all devices. Of who is no contact
// only the times are kept: what another device has decided earlier is over.
type Sorting struct {
	Groups    []string // as CleanGroups returns them
	GroupsAt  time.Time
	Team      bool // they may break through do-not-disturb
	TeamAt    time.Time
	Watched   bool // this person is to be told once when they are free
	WatchedAt time.Time
}

// Group puts a contact into these groups and no others.
type Group struct {
	Person chat.PersonID
	Groups []string
	Ref    uint64
}

// SetTeam says whether a contact is of the team.
type SetTeam struct {
	Person chat.PersonID
	Team   bool
	Ref    uint64
}

// Watch says whether this person is to be told when a contact is free.
type Watch struct {
	Person  chat.PersonID
	Watched bool
	Ref     uint64
}

func (Group) isInput()   {}
func (SetTeam) isInput() {}
func (Watch) isInput()   {}

func (e *Engine) group(now time.Time, in Group) error {
	groups, err := CleanGroups(in.Groups)
	if err != nil {
		return err
	}
	for i, g := range groups {
		groups[i] = e.spelling(g)
	}
	return e.sort(in.Person, func(s *Sorting) {
		if !slices.Equal(s.Groups, groups) {
			s.Groups, s.GroupsAt = groups, after(now, s.GroupsAt)
		}
	})
}

func (e *Engine) setTeam(now time.Time, in SetTeam) error {
	return e.sort(in.Person, func(s *Sorting) {
		if s.Team != in.Team {
			s.Team, s.TeamAt = in.Team, after(now, s.TeamAt)
		}
	})
}

func (e *Engine) watch(now time.Time, in Watch) error {
	return e.sort(in.Person, func(s *Sorting) {
		if s.Watched != in.Watched {
			s.Watched, s.WatchedAt = in.Watched, after(now, s.WatchedAt)
		}
	})
}

// sort changes what a contact is sorted as.
func (e *Engine) sort(p chat.PersonID, change func(*Sorting)) error {
	r := e.get(p)
	if !r.Relation.Known() {
		return chat.Errorf(chat.CodeNotContact, "%s is not a contact. Ask them first: earshot add %s", named(r), p.Short())
	}
	was := r.Sorting
	if change(&r.Sorting); !r.Sorting.same(was) {
		e.set(r)
	}
	return nil
}

// spelling returns how the group of a name is written already, if there is one.
func (e *Engine) spelling(group string) string {
	for _, r := range e.Records() {
		if i, found := slices.BinarySearchFunc(r.Groups, group, compareGroups); found {
			return r.Groups[i]
		}
	}
	return group
}

// after returns a time, in microseconds as others hold it, that is later than what it
// must replace: clocks are set back.
func after(now, replaced time.Time) time.Time {
	if now = now.Truncate(time.Microsecond); now.After(replaced) {
		return now
	}
	return replaced.Add(time.Microsecond)
}

// ended returns what is left of s when they are a contact no more.
func (s Sorting) ended(at time.Time) Sorting {
	if len(s.Groups) > 0 {
		s.Groups, s.GroupsAt = nil, latest(s.GroupsAt, at)
	}
	if s.Team {
		s.Team, s.TeamAt = false, latest(s.TeamAt, at)
	}
	if s.Watched {
		s.Watched, s.WatchedAt = false, latest(s.WatchedAt, at)
	}
	return s
}

// merged returns the later of each decision; of two of one moment that which says
// less. The order of the two makes no difference.
func (s Sorting) merged(o Sorting) Sorting {
	if c := s.GroupsAt.Compare(o.GroupsAt); c < 0 || c == 0 && compareLists(o.Groups, s.Groups) < 0 {
		s.Groups, s.GroupsAt = o.Groups, o.GroupsAt
	}
	s.Team, s.TeamAt = later2(s.Team, s.TeamAt, o.Team, o.TeamAt)
	s.Watched, s.WatchedAt = later2(s.Watched, s.WatchedAt, o.Watched, o.WatchedAt)
	return s
}

func later2(a bool, at time.Time, b bool, bt time.Time) (bool, time.Time) {
	switch c := at.Compare(bt); {
	case c < 0:
		return b, bt
	case c == 0:
		return a && b, at
	}
	return a, at
}

func compareLists(a, b []string) int {
	return slices.CompareFunc(a, b, strings.Compare)
}

func (s Sorting) same(o Sorting) bool {
	return slices.Equal(s.Groups, o.Groups) && s.GroupsAt.Equal(o.GroupsAt) &&
		s.Team == o.Team && s.TeamAt.Equal(o.TeamAt) && s.Watched == o.Watched && s.WatchedAt.Equal(o.WatchedAt)
}
