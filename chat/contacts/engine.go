package contacts

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"earshot/chat"
)

// Engine holds every relation of one person. It is not safe for concurrent use; one
// loop owns it.
type Engine struct {
	cfg    Config
	me     chat.PersonID
	people map[chat.PersonID]*entry
	here   map[chat.PersonID]*guest
	rates  map[chat.DeviceID]*rate
	asking int // entries in the tray
	// remembered counts the strangers that are kept.
	remembered int
	out        []Effect
}

// entry is a relation and what is worked out from it.
type entry struct {
	Record
	looks looks // of Name
	moves rate  // answers of theirs with another chat than the one in use
}

// guest is a person who is connected.
type guest struct {
	name    string // cleaned
	devices []chat.DeviceID
}

// New returns the engine of a person who knows nobody.
func New(cfg Config) *Engine {
	cfg.Name = chat.CleanName(cfg.Name)
	return &Engine{
		cfg: cfg, me: cfg.Certificate.Person(), people: map[chat.PersonID]*entry{},
		here: map[chat.PersonID]*guest{}, rates: map[chat.DeviceID]*rate{},
	}
}

// Handle applies one input and returns what must now be done, in order. It never
// blocks, and does not depend on map order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	e.out = nil
	switch in := in.(type) {
	case Restore:
		e.restore(in)
	case Rename:
		e.cfg.Name = chat.CleanName(in.Name)
	case Add:
		e.deny(in.Ref, e.add(now, in))
	case Accept:
		e.deny(in.Ref, e.accept(now, in.Person))
	case Decline:
		e.deny(in.Ref, e.decline(now, in.Person))
	case Block:
		e.deny(in.Ref, e.block(now, in.Person))
	case Unblock:
		e.deny(in.Ref, e.unblock(now, in.Person))
	case Forget:
		e.deny(in.Ref, e.forget(now, in.Person))
	case Verify:
		e.deny(in.Ref, e.verify(now, in.Person))
	case Decide:
		e.deny(in.Ref, e.decide(now, in))
	case Group:
		e.deny(in.Ref, e.group(now, in))
	case SetTeam:
		e.deny(in.Ref, e.setTeam(now, in))
	case Watch:
		e.deny(in.Ref, e.watch(now, in))
	case Merge:
		e.merge(now, in.Record)
	case Receive:
		e.receive(now, in)
	case Met:
		e.met(now, in)
	case Left:
		e.left(in)
	case Delivered:
		e.delivered(in)
	case Tick:
		for _, p := range slices.SortedFunc(maps.Keys(e.here), compare) {
			e.deliver(now, e.people[p])
		}
	}
	out := e.out
	e.out = nil
	return out
}

func compare(a, b chat.PersonID) int { return bytes.Compare(a[:], b[:]) }

func (e *Engine) emit(f Effect) { e.out = append(e.out, f) }

func (e *Engine) deny(ref uint64, err error) {
	if err != nil {
		e.emit(Deny{Ref: ref, Err: err})
	}
}

func (e *Engine) restore(in Restore) {
	clear(e.people)
	e.asking, e.remembered = 0, 0
	for _, r := range in.Records {
		if r.Kept() {
			e.people[r.Person] = &entry{Record: r, looks: looksOf(r.Name)}
			e.count(r, 1)
		}
	}
}

// count keeps the numbers of entries that are bounded apart.
func (e *Engine) count(r Record, by int) {
	switch r.Relation {
	case Asking:
		e.asking += by
	case Stranger:
		e.remembered += by
	}
}

// set makes a relation what r says, and persists it.
func (e *Engine) set(r Record) *entry {
	old := e.people[r.Person]
	if !r.Relation.Known() {
		if old != nil {
			r.Sorting = r.Sorting.merged(old.Sorting)
		}
		r.Sorting = r.Sorting.ended(r.Since)
	}
	next := &entry{Record: r}
	tray := r.Relation == Asking
	if old != nil {
		e.count(old.Record, -1)
		next.moves = old.moves
		tray = tray || old.Relation == Asking
	}
	if old != nil && old.Name == r.Name {
		next.looks = old.looks
	} else {
		next.looks = looksOf(r.Name)
	}
	if r.Kept() {
		e.people[r.Person] = next
		e.count(r, 1)
	} else {
		delete(e.people, r.Person)
	}
	was := Record{}
	if old != nil {
		was = old.Record
	}
	e.emit(Persist{Record: r, Moved: r.Relation != was.Relation || r.Forgotten != was.Forgotten || !slices.Equal(r.Groups, was.Groups)})
	if tray {
		e.emit(Tray{Requests: e.Tray()})
	}
	return next
}

// get returns what is known of a person; a stranger's record if nothing is.
func (e *Engine) get(p chat.PersonID) Record {
	r := Record{Person: p}
	if known := e.people[p]; known != nil {
		r = known.Record
	}
	if g := e.here[p]; g != nil && r.Name == "" {
		r.Name = g.name
	}
	return r
}

// become returns the record of the same person in another relation, without
// what belonged to the old.
func (r Record) become(relation Relation, now time.Time) Record {
	return Record{Person: r.Person, Relation: relation, Since: now, Name: r.Name, Note: r.Note, Device: r.Device, Request: r.Request, Sorting: r.Sorting}
}

// Relation returns what a person is to this one.
func (e *Engine) Relation(p chat.PersonID) Relation { return e.get(p).Relation }

// Chat returns what the direct chat with a person is made of (chat.DirectRoom); zero
// if they are no contact.
func (e *Engine) Chat(p chat.PersonID) [32]byte { return e.get(p).Chat }

// Record returns what is known of a person.
func (e *Engine) Record(p chat.PersonID) Record { return e.get(p) }

// May reports whether something may pass between this person and another: May by
// their relation. This person's own devices may everything but ask.
func (e *Engine) May(p chat.PersonID, what Reach, privacy Privacy) bool {
	if p == e.me {
		return what != ReachRequest && what < reaches
	}
	return May(e.get(p), what, privacy)
}

// Sees reports whether somebody may see what is for an audience of this person's.
func (e *Engine) Sees(p chat.PersonID, to Audience, privacy Privacy) bool {
	return p == e.me || !privacy.Invisible && to.Has(e.get(p))
}

// MaySend reports, in words for a person, why nothing can be sent to somebody now.
func (e *Engine) MaySend(p chat.PersonID) error {
	r := e.get(p)
	switch {
	case p == e.me:
		return nil
	case r.Relation == Blocked:
		return blocked(r)
	case r.Relation == Requested:
		return chat.Errorf(chat.CodeDenied, "You have asked %s, who has not answered yet. Wait until they accept.", named(r))
	case r.Relation == Asking:
		return chat.Errorf(chat.CodeDenied, "%s has asked to be a contact. Accept them first: earshot accept %s", named(r), p.Short())
	case !r.Relation.Known():
		return chat.Errorf(chat.CodeDenied, "%s is not a contact. Ask them first: earshot add %s", named(r), p.Short())
	case !r.Claimant.IsZero():
		return held(r)
	}
	if claimed := e.claimedBy(p); len(claimed) > 0 {
		return held(claimed[0])
	}
	return nil
}

// claimedBy returns the verified contacts whose place a person may have taken, in
// order of their ids.
func (e *Engine) claimedBy(p chat.PersonID) []Record {
	return e.records(func(r Record) bool { return r.Claimant == p }, func(a, b Record) int { return compare(a.Person, b.Person) })
}

func held(r Record) error {
	return chat.Errorf(chat.CodeDenied,
		"Somebody with another key, %s, now goes by the name of %s, whom you have verified and who is not here. Nothing is sent until you have asked %s by other means whether that is them, and said so.",
		r.Claimant.Short(), r.Name, r.Name)
}

func blocked(r Record) error {
	return chat.Errorf(chat.CodeDenied, "You have blocked %s. Unblock them first.", named(r))
}

// named returns how an error calls a person.
func named(r Record) string {
	if r.Name == "" {
		return r.Person.Short()
	}
	return r.Name + " (" + r.Person.Short() + ")"
}

// Tray returns the requests that wait for this person, oldest first.
func (e *Engine) Tray() []Record {
	return e.records(func(r Record) bool { return r.Relation == Asking }, bySince)
}

// Contacts returns the contacts by the names they go by, in order of their ids: what
// Resolve looks among.
func (e *Engine) Contacts() []Named {
	var out []Named
	for _, r := range e.records(func(r Record) bool { return r.Relation.Known() }, func(a, b Record) int { return compare(a.Person, b.Person) }) {
		out = append(out, Named{Person: r.Person, Name: chat.CleanName(r.Name)})
	}
	return out
}

// Records returns all relations that are kept, in order of their ids.
func (e *Engine) Records() []Record {
	return e.records(func(Record) bool { return true }, func(a, b Record) int { return compare(a.Person, b.Person) })
}

func (e *Engine) records(want func(Record) bool, order func(a, b Record) int) []Record {
	var out []Record
	for _, known := range e.people {
		if want(known.Record) {
			out = append(out, known.Record)
		}
	}
	slices.SortFunc(out, order)
	return out
}

// NextTick returns when Tick is due next: when something is to be sent again to
// somebody who is here. Zero if nothing waits.
func (e *Engine) NextTick() time.Time {
	var next time.Time
	for p := range e.here {
		if r := e.people[p]; r != nil && r.Message != nil && r.Tries < maxTries && (next.IsZero() || r.NextTry.Before(next)) {
			next = r.NextTry
		}
	}
	return next
}

// plainNote returns a note that is safe to show: one line, and nothing that a
// terminal or a page would make a link of.
func plainNote(s string) string {
	return link.ReplaceAllString(strings.Join(strings.Fields(chat.CleanText(s)), " "), "$1$3$5 $2$4$6")
}

// link finds what makes a link of the words around it.
var link = regexp.MustCompile(`(?i)(:)(//)|(mailto)(:)|(www)(\.)`)

// checkNote returns this person's note as it is sent.
func checkNote(s string) (string, error) {
	if len(s) > 8*maxNoteBytes {
		return "", tooLong(len([]rune(s)))
	}
	s = strings.Join(strings.Fields(chat.CleanText(s)), " ")
	if n := utf8.RuneCountInString(s); n > MaxNote {
		return "", tooLong(n)
	}
	return s, nil
}

func tooLong(n int) error {
	return chat.Errorf(chat.CodeTooLong, "The note has %d characters and may have %d. Shorten it.", n, MaxNote)
}
