package contacts

import (
	"slices"
	"time"

	"earshot/chat"
)

// This file is what this person decides.

func (e *Engine) add(now time.Time, in Add) error {
	r := e.get(in.Person)
	note, err := checkNote(in.Note)
	switch {
	case in.Person == e.me:
		return chat.Errorf(chat.CodeUsage, "That is you. Give the id of somebody else.")
	case err != nil:
		return err
	case r.Relation == Blocked:
		return blocked(r)
	case r.Relation.Known():
		return chat.Errorf(chat.CodeUsage, "%s is a contact already. There is nothing to ask.", named(r))
	case r.Relation == Asking:
		return e.accept(now, in.Person) // both have asked
	}
	if err := e.undecided(r); err != nil {
		return err
	}
	if r.Relation == Requested && r.Message == nil && now.Sub(r.Since) < askAgain {
		return chat.Errorf(chat.CodeBusy, "You asked %s less than %d minutes ago. Wait for the answer.", named(r), askAgain/time.Minute)
	}
	if e.people[in.Person] == nil && len(e.people) >= MaxPeople {
		return chat.Errorf(chat.CodeBusy, "There are %d contacts and requests, and there can't be more. Forget somebody first.", MaxPeople)
	}
	next := r.become(Requested, now)
	nonce := e.cfg.NewNonce()
	next.Note = note
	next.Message = sign(e.cfg.Key, body{
		Kind: KindRequest, Certificate: e.cfg.Certificate.Bytes(), To: in.Person[:], Nonce: nonce[:], Name: e.cfg.Name, Note: note,
	})
	m, err := DecodeMessage(next.Message)
	if err != nil {
		return err
	}
	next.Request = m.ID
	if r.Relation == Requested && r.Message != nil { // in place of one that has not arrived
		next.Tries, next.NextTry = r.Tries, r.NextTry
	}
	e.deliver(now, e.set(next))
	return nil
}

func (e *Engine) accept(now time.Time, p chat.PersonID) error {
	r := e.get(p)
	if r.Relation != Asking {
		return notAsking(r)
	}
	if err := e.undecided(r); err != nil {
		return err
	}
	e.befriend(now, r, r.Request)
	return nil
}

func notAsking(r Record) error {
	return chat.Errorf(chat.CodeNotFound, "There is no request of %s. Look at the requests that wait.", named(r))
}

// befriend makes a contact of who has asked, and answers. The chat is made of one of
// their requests, or of this person's.
func (e *Engine) befriend(now time.Time, r Record, request MessageID) {
	next := r.become(Contact, now)
	next.Chat = request
	next.Message = e.answer(KindAccepted, next)
	e.deliver(now, e.set(next))
}

// answer returns an answer to the request that stands.
func (e *Engine) answer(kind Kind, r Record) []byte {
	b := body{Kind: kind, Certificate: e.cfg.Certificate.Bytes(), To: r.Person[:], Request: r.Request[:]}
	if kind == KindAccepted {
		b.Chat = r.Chat[:]
	}
	return sign(e.cfg.Key, b)
}

func (e *Engine) decline(now time.Time, p chat.PersonID) error {
	r := e.get(p)
	if r.Relation != Asking {
		return notAsking(r)
	}
	e.makeRoom()
	e.set(Record{Person: p, Since: now, Name: r.Name, DeclinedUntil: now.Add(DeclineLife)})
	return nil
}

func (e *Engine) block(now time.Time, p chat.PersonID) error {
	r := e.get(p)
	switch {
	case p == e.me:
		return chat.Errorf(chat.CodeUsage, "That is you. Give the id of somebody else.")
	case r.Relation == Blocked:
		return nil
	case e.people[p] == nil && len(e.people) >= 2*MaxPeople:
		return chat.Errorf(chat.CodeBusy, "%d people are known or blocked, and there can't be more. Forget or unblock somebody first.", 2*MaxPeople)
	}
	e.set(Record{Person: p, Relation: Blocked, Since: now, Name: r.Name})
	e.release(now, p)
	return nil
}

func (e *Engine) unblock(now time.Time, p chat.PersonID) error {
	r := e.get(p)
	if r.Relation != Blocked {
		return chat.Errorf(chat.CodeNotFound, "%s is not blocked. There is nothing to do.", named(r))
	}
	e.letGo(now, p)
	return nil
}

func (e *Engine) forget(now time.Time, p chat.PersonID) error {
	r := e.get(p)
	switch {
	case r.Relation == Blocked:
		return chat.Errorf(chat.CodeUsage, "You have blocked %s. Unblock them instead: forgetting would let them ask again.", named(r))
	case e.people[p] == nil || r.Forgotten:
		return chat.Errorf(chat.CodeNotFound, "There is nothing to forget of %s.", named(r))
	}
	e.letGo(now, p)
	// A request that never left needs no taking back.
	if g := e.here[p]; r.Relation == Requested && g != nil && (r.Tries > 0 || r.Message == nil) {
		e.send(p, g.device(r.Device), e.answer(KindWithdrawn, r))
	}
	return nil
}

func (e *Engine) verify(now time.Time, p chat.PersonID) error {
	r := e.get(p)
	if !r.Relation.Known() {
		return chat.Errorf(chat.CodeDenied, "%s is not a contact, and only contacts are verified. Ask them first.", named(r))
	}
	if r.Relation == Verified {
		return nil
	}
	r.Relation, r.Since = Verified, now
	e.set(r)
	return nil
}

// undecided reports that somebody goes by the name of a verified contact, and that
// this person has not decided who that is.
func (e *Engine) undecided(r Record) error {
	for _, v := range e.likeVerified(r.Person, r.Name) {
		if !slices.Contains(v.Namesakes, r.Person) {
			return chat.Errorf(chat.CodeDenied,
				"%s goes by the name of %s, whom you have verified, but holds another key. Ask %s by other means whether that is them, and say so first.",
				named(r), named(v), v.Name)
		}
	}
	return nil
}

// likeVerified returns the verified contacts whose name another person's is taken
// for, in order of their ids.
func (e *Engine) likeVerified(p chat.PersonID, name string) []Record {
	if name == "" {
		return nil
	}
	l := looksOf(name)
	return e.records(func(r Record) bool {
		return r.Relation == Verified && r.Person != p && e.people[r.Person].looks.alike(l)
	}, func(a, b Record) int { return compare(a.Person, b.Person) })
}

func (e *Engine) decide(now time.Time, in Decide) error {
	v, claimant := e.get(in.Verified), e.get(in.Claimant)
	if v.Relation != Verified || in.Claimant == in.Verified || in.Claimant == e.me {
		return chat.Errorf(chat.CodeUsage, "%s is not a verified contact whose name somebody else goes by. There is nothing to decide.", named(v))
	}
	if v.Claimant != in.Claimant && !slices.ContainsFunc(e.likeVerified(in.Claimant, claimant.Name), func(r Record) bool { return r.Person == v.Person }) {
		return chat.Errorf(chat.CodeUsage, "%s does not go by the name of %s. There is nothing to decide.", named(claimant), named(v))
	}
	if in.Same {
		// The old key is given up; the new one is a stranger's until added.
		e.letGo(now, in.Verified)
		return nil
	}
	if v.Claimant == in.Claimant {
		v.Claimant = chat.PersonID{}
	}
	v.QuietUntil = now.Add(quietAfter)
	if !slices.Contains(v.Namesakes, in.Claimant) {
		v.Namesakes = append(slices.Clone(v.Namesakes), in.Claimant)
		v.Namesakes = v.Namesakes[max(0, len(v.Namesakes)-maxNamesakes):]
	}
	e.set(v)
	return nil
}

// release ends what the claims of a person hold up: they have been blocked.
func (e *Engine) release(now time.Time, claimant chat.PersonID) {
	for _, v := range e.claimedBy(claimant) {
		v.Claimant, v.QuietUntil = chat.PersonID{}, now.Add(quietAfter)
		e.set(v)
	}
}

// letGo makes a stranger of a person, of whom nothing is left but that this was
// decided: a device of this person's that has not heard must not bring them back.
func (e *Engine) letGo(now time.Time, p chat.PersonID) {
	if e.get(p).Relation != Stranger {
		e.makeRoom()
	}
	e.set(Record{Person: p, Since: now, Forgotten: true})
}

// makeRoom forgets the stranger remembered longest, if there are too many for one more.
func (e *Engine) makeRoom() {
	if e.remembered < maxRemembered {
		return
	}
	oldest := e.records(func(r Record) bool { return r.Relation == Stranger }, bySince)[0]
	e.set(Record{Person: oldest.Person})
}

// bySince orders records by when the relation became what it is, then by id.
func bySince(a, b Record) int {
	if c := a.Since.Compare(b.Since); c != 0 {
		return c
	}
	return compare(a.Person, b.Person)
}
