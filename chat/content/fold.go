package content

import (
	"slices"
	"time"

	"earshot/chat"
)

// Edit is what somebody wants a message to say.
type Edit struct {
	By       chat.PersonID
	At       Place
	Text     string // cleaned; "" where it was removed
	Mentions []chat.PersonID
}

// Removal is somebody's wish that a message be removed.
type Removal struct {
	By     chat.PersonID
	Device chat.DeviceID
	At     Place
}

// Reaction is the last that somebody did about one sign under a message.
type Reaction struct {
	By   chat.PersonID
	Sign string
	Off  bool
	At   Place
}

// Tenure says that somebody may remove what others say in a room, in entries whose
// clocks are From or later and before Until.
type Tenure struct {
	Person      chat.PersonID
	From, Until chat.HLC
}

// About is all that is known of a message.
type About struct {
	Author    chat.PersonID
	Edits     []Edit
	Removals  []Removal
	Reactions []Reaction
	Tenures   []Tenure // of its room
}

// Shown is what is shown of a message.
type Shown struct {
	Removed *Removal // nil unless it is
	// Edit is the one of About.Edits that says what it says now, -1 for none. Before
	// are those that it replaced, oldest first.
	Edit   int
	Before []int
	Signs  []Sign // at most chat.MaxSigns, in the order in which they were put there
}

// Sign is who has put one under a message, in the order in which they did.
type Sign struct {
	Sign   string
	People []chat.PersonID
}

// Fold says what is shown of a message. It does not depend on the order of what is
// known.
func Fold(a About) Shown {
	s := Shown{Edit: -1}
	for i := range a.Removals {
		r := &a.Removals[i]
		if Counts(*r, a.Author, a.Tenures) && (s.Removed == nil || r.At.Compare(s.Removed.At) < 0) {
			s.Removed = r
		}
	}
	if s.Removed != nil {
		return s // nothing else is shown of it
	}
	var edits []int
	for i, e := range a.Edits {
		if e.By == a.Author && e.Text != "" {
			edits = append(edits, i)
		}
	}
	slices.SortFunc(edits, func(i, j int) int { return a.Edits[i].At.Compare(a.Edits[j].At) })
	if n := len(edits); n > 0 {
		s.Edit, s.Before = edits[n-1], edits[:n-1]
	}
	s.Signs = signs(a.Reactions)
	return s
}

// Counts reports whether a removal of something that author said has an effect: it is
// their own, or by who might remove what others say at the time.
func Counts(r Removal, author chat.PersonID, tenures []Tenure) bool {
	return r.By == author || slices.ContainsFunc(tenures, func(t Tenure) bool {
		return t.Person == r.By && t.From <= r.At.HLC && r.At.HLC < t.Until
	})
}

// signs gathers reactions by sign.
func signs(list []Reaction) (out []Sign) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Reaction) int { return a.At.Compare(b.At) })
	// Of one person and sign the last counts, where there are several.
	last := map[[2]string]int{}
	key := func(r Reaction) [2]string { return [2]string{string(r.By[:]), r.Sign} }
	for i, r := range list {
		last[key(r)] = i
	}
	for i, r := range list {
		if r.Off || last[key(r)] != i {
			continue
		}
		at := slices.IndexFunc(out, func(s Sign) bool { return s.Sign == r.Sign })
		if at < 0 {
			if len(out) == chat.MaxSigns {
				continue
			}
			at = len(out)
			out = append(out, Sign{Sign: r.Sign})
		}
		out[at].People = append(out[at].People, r.By)
	}
	return out
}

// Current returns the setting that counts: the last. Of none, it is for ever.
func Current(settings []Setting) Setting {
	var out Setting
	for _, s := range settings {
		if s.At.Compare(out.At) > 0 {
			out = s
		}
	}
	return out
}

// hearing is how long it may take until who speaks has heard of a setting: what
// went before may have counted for what they said until then (guess).
const hearing = 24 * time.Hour

// Over reports whether what was said at h may be gone by now, since all that was
// said in the room is kept for keep only, or because messages disappeared there when
// it was said. Settings are those of the room, in any order.
func Over(h chat.HLC, now time.Time, keep time.Duration, settings []Setting) bool {
	said := h.Time()
	if keep > 0 && !said.Add(keep).After(now) {
		return true
	}
	settings = slices.Clone(settings)
	slices.SortFunc(settings, func(a, b Setting) int { return a.At.Compare(b.At) })
	for i, s := range settings {
		if s.Disappear == 0 || s.At.HLC > h || said.Add(s.Disappear).After(now) {
			continue
		}
		if i == len(settings)-1 || settings[i+1].At.HLC.Time().Add(hearing).After(said) {
			return true
		}
	}
	return false
}
