package contacts

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"earshot/chat"
)

// This file is what other devices of this person have decided.

// merge takes their word where it is the later one. The order of two records
// depends on nothing but themselves, so it does not matter in which order, or how
// often, devices hear of each other.
func (e *Engine) merge(now time.Time, in Record) {
	if in.Person == e.me || in.Person.IsZero() || in.Relation > Blocked {
		return
	}
	known := e.people[in.Person]
	old := Record{Person: in.Person}
	if known != nil {
		old = known.Record
	}
	if in.Name != "" {
		in.Name = chat.CleanName(in.Name)
	}
	var err error
	if in.Groups, err = CleanGroups(in.Groups); err != nil {
		return
	}
	in.Sorting = in.Sorting.merged(old.Sorting)
	switch c := later(in, old); {
	case c <= 0:
		if known != nil {
			e.agree(old, in)
		}
		return
	case known == nil && !in.Kept():
		return
	case known == nil && len(e.people) >= 2*MaxPeople:
		return // as if it had been declined here
	case in.Relation == Asking && old.Relation != Asking && e.asking >= MaxTray:
		return
	}
	if in.Relation == Stranger && in.Kept() && (known == nil || old.Relation != Stranger) {
		e.makeRoom()
	}
	if in.Name == "" && in.Relation != Stranger {
		in.Name = old.Name
	}
	if in.Relation.Known() && old.Relation.Known() {
		in.Namesakes, _ = union(in.Namesakes, old.Namesakes)
		in.QuietUntil = latest(in.QuietUntil, old.QuietUntil)
		// Who is away, and so whose name can be taken, each device sees for itself.
		in.Claimant = chat.PersonID{}
		if in.Relation == Verified && !slices.Contains(in.Namesakes, old.Claimant) {
			in.Claimant = old.Claimant
		}
	}
	// What waits there was signed there, and is delivered from there. What waits
	// here still says what it should, or is void.
	in.Message, in.Tries, in.NextTry = nil, 0, time.Time{}
	switch {
	case in.Relation.Known() && in.Chat != old.Chat:
		// They may have heard another id from here, or may meet this device first.
		e.repeat(now, in)
	case in.Relation.Known() && old.Relation.Known(), in.Relation == Requested && in.Request == old.Request:
		in.Message, in.Tries, in.NextTry = old.Message, old.Tries, old.NextTry
		e.set(in)
	default:
		e.set(in)
	}
	if in.Relation == Blocked {
		e.release(now, in.Person)
	}
}

// later says which of two records of a person was decided later: that of the later
// relation; of those of one moment, by what they say. 0 if that is the same.
func later(a, b Record) int {
	return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Relation, b.Relation),
		a.DeclinedUntil.Compare(b.DeclinedUntil), bytes.Compare(a.Chat[:], b.Chat[:]), bytes.Compare(a.Request[:], b.Request[:]))
}

// agree takes what another device has decided about a person beside the relation:
// about others of a verified contact's name, and what a contact is sorted as.
func (e *Engine) agree(r, in Record) {
	if !r.Relation.Known() {
		in.Sorting = in.ended(r.Since)
	}
	changed := !r.Sorting.same(in.Sorting)
	r.Sorting = in.Sorting
	if r.Relation == Verified && in.Relation == Verified {
		var more bool
		r.Namesakes, more = union(r.Namesakes, in.Namesakes)
		changed = changed || more
		if in.QuietUntil.After(r.QuietUntil) {
			r.QuietUntil, changed = in.QuietUntil, true
		}
		if slices.Contains(r.Namesakes, r.Claimant) {
			r.Claimant, changed = chat.PersonID{}, true
		}
	}
	if changed {
		e.set(r)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// union returns the namesakes of both, and whether that is more than the first.
func union(to, from []chat.PersonID) (out []chat.PersonID, more bool) {
	out = slices.Clone(to)
	for _, p := range from {
		if !slices.Contains(out, p) && len(out) < maxNamesakes {
			out, more = append(out, p), true
		}
	}
	return out, more
}
