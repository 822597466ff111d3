package membership

import (
	"cmp"
	"slices"
	"time"

	"earshot/chat"
)

// Tenure says that somebody was an admin or owner, from one reading of the room's
// clock on and until before another.
type Tenure struct {
	Person      chat.PersonID
	From, Until chat.HLC
}

// Retention is for how long messages were kept from At on; 0 for ever.
type Retention struct {
	At              chat.HLC
	Disappear, Keep time.Duration
}

func seconds(n uint64) time.Duration { return time.Duration(n) * time.Second }

// moment is an operation and when it took effect: not before what it builds on,
// whatever clock it bears.
type moment struct {
	n  *node
	at chat.HLC
}

// moments returns all operations in the order of when they took effect.
func (l *Log) moments() []moment {
	out := make([]moment, len(l.nodes))
	for i, n := range l.nodes {
		out[i] = moment{n, n.HLC}
		for _, p := range n.Parents {
			if parent := l.index[p]; parent != nil && out[parent.idx].at > out[i].at {
				out[i].at = out[parent.idx].at
			}
		}
	}
	slices.SortStableFunc(out, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	return out
}

// Tenures returns who was an admin or owner and when, as far as it is known now,
// ascending by person and time. Of who is owner only as the heir it says so from the
// newest operation on by which somebody went out.
func (l *Log) Tenures() (out []Tenure) {
	if l.create == nil {
		return nil
	}
	r := l.resolve(l.all)
	since := map[chat.PersonID]chat.HLC{}
	var at bits
	var lastExit chat.HLC
	list := l.moments()
	for i := 0; i < len(list); {
		now := list[i].at
		var concerned []chat.PersonID
		for ; i < len(list) && list[i].at == now; i++ {
			n := list[i].n
			at = at.with(n.idx)
			concerned = append(concerned, n.Author)
			switch b := n.Body.(type) {
			case Remove:
				concerned, lastExit = append(concerned, b.Person), now
			case Leave:
				lastExit = now
			case SetRole:
				concerned = append(concerned, b.Person)
			}
		}
		for _, who := range concerned {
			from, was := since[who]
			switch is := r.standing(who, at, everyonesPass).role >= RoleAdmin; {
			case is && !was:
				since[who] = now
			case !is && was:
				delete(since, who)
				out = append(out, Tenure{who, from, now})
			}
		}
	}
	for who, from := range since {
		out = append(out, Tenure{who, from, chat.MaxHLC})
	}
	if heir, ok := r.heir(l.all, everyonesPass); ok {
		if _, had := since[heir]; !had {
			out = append(out, Tenure{heir, lastExit, chat.MaxHLC})
		}
	}
	slices.SortFunc(out, func(a, b Tenure) int {
		return cmp.Or(comparePeople(a.Person, b.Person), cmp.Compare(a.From, b.From))
	})
	return out
}

// Retentions returns for how long messages were kept when, oldest first, the newest
// chat.MaxSettings of them.
func (l *Log) Retentions() (out []Retention) {
	if l.create == nil {
		return nil
	}
	r := l.resolve(l.all)
	var now Retention
	for _, m := range l.moments() {
		b, ok := m.n.Body.(Retain)
		if !ok || !r.effective(m.n, everyonesPass) {
			continue
		}
		now.At = m.at
		if b.Disappear != nil {
			now.Disappear = seconds(*b.Disappear)
		}
		if b.Keep != nil {
			now.Keep = seconds(*b.Keep)
		}
		out = append(out, now)
	}
	return out[max(0, len(out)-chat.MaxSettings):]
}
