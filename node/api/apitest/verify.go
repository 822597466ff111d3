package apitest

import (
	"context"
	"strings"

	"earshot/chat"
)

// This file is the comparison of keys.

// Symbols, Number and QR are what every comparison shows here.
var Symbols = []string{"🐙 octopus", "🌵 cactus", "🔑 key", "🚲 bicycle", "🍋 lemon", "🐢 turtle", "🥁 drum"}

const (
	Number = "00001 00002 00003 00004 00005 00006 00007 00008 00009 00010 00011 00012"
	// QR is what this person shows, TheirQR what the other one does.
	QR      = "EARSHOT:1:OURS"
	TheirQR = "EARSHOT:1:THEIRS"
)

// Compare makes somebody begin a comparison, or take part in the one that waits for
// them.
func (n *Node) Compare(who chat.PersonID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v := n.compared[who]; v != nil && v.State == chat.VerificationWaiting {
		n.compare(v)
		return
	}
	n.progress(n.newComparison(who), chat.VerificationAsked, "")
}

// Says makes somebody say whether they see the same symbols.
func (n *Node) Says(who chat.PersonID, same bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.compared[who]
	switch {
	case v == nil || v.State != chat.VerificationCompare && v.State != chat.VerificationSaid:
		panic("apitest: they compare nothing")
	case !same:
		n.progress(v, chat.VerificationDifferent, v.Name+" sees other symbols.")
	case v.State == chat.VerificationSaid:
		n.verified(v)
	default:
		v.Reason = saidAlready
	}
}

// saidAlready marks a comparison of which the other person has said: the same.
const saidAlready = "they say it is the same"

// newComparison begins one. n.mu is held.
func (n *Node) newComparison(who chat.PersonID) *chat.Verification {
	p, _ := n.known(who)
	v := &chat.Verification{Person: who, Name: p.Name, Number: Number, QR: QR}
	n.compared[who] = v
	return v
}

// progress moves a comparison on and tells. n.mu is held.
func (n *Node) progress(v *chat.Verification, to chat.VerificationState, reason string) {
	v.State, v.Reason = to, reason
	n.feed.Publish(chat.VerificationEvent{Verification: *v})
	if to.Over() {
		delete(n.compared, v.Person)
	}
}

func (n *Node) compare(v *chat.Verification) {
	v.Symbols = Symbols
	n.progress(v, chat.VerificationCompare, "")
}

func (n *Node) verified(v *chat.Verification) {
	n.relate(v.Person, chat.RelationVerified, "")
	n.progress(v, chat.VerificationVerified, "")
}

// mayCompare reports why keys can't be compared with somebody. n.mu is held.
func (n *Node) mayCompare(who chat.PersonID) (chat.Person, error) {
	p, ok := n.known(who)
	switch {
	case n.fail != nil:
		return p, n.fail
	case !ok || !p.Relation.Known():
		return p, chat.Errorf(chat.CodeNotContact, "Only contacts can be verified. Ask with: earshot add %s", who.Short())
	}
	return p, nil
}

func (n *Node) Verification(_ context.Context, who chat.PersonID) (chat.Verification, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.mayCompare(who)
	if v := n.compared[who]; err == nil && v != nil {
		return *v, nil
	}
	return chat.Verification{Person: who, Name: p.Name, Number: Number, QR: QR}, err
}

func (n *Node) StartVerification(_ context.Context, who chat.PersonID) (chat.Verification, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.mayCompare(who)
	if err != nil {
		return chat.Verification{}, err
	}
	v := n.compared[who]
	switch {
	case v != nil && v.State == chat.VerificationAsked:
		n.compare(v)
	case v != nil:
	case p.Presence != chat.Here:
		v = n.newComparison(who)
		n.progress(v, chat.VerificationEnded, p.Name+" is not here.")
	default:
		v = n.newComparison(who)
		n.progress(v, chat.VerificationWaiting, "")
	}
	return *v, nil
}

func (n *Node) SayVerification(_ context.Context, who chat.PersonID, same bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.compared[who]
	switch {
	case n.fail != nil:
		return n.fail
	case v == nil || v.State != chat.VerificationCompare:
		return chat.Errorf(chat.CodeNotFound, "There is nothing to compare with them now. Begin with: earshot verify %s", who.Short())
	case !same:
		n.progress(v, chat.VerificationDifferent, "You see other symbols than "+v.Name+".")
	case v.Reason == saidAlready:
		n.verified(v)
	default:
		n.progress(v, chat.VerificationSaid, "")
	}
	return nil
}

func (n *Node) CancelVerification(_ context.Context, who chat.PersonID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v := n.compared[who]; v != nil && n.fail == nil {
		n.progress(v, chat.VerificationEnded, "You called it off.")
	}
	return n.fail
}

func (n *Node) MarkVerified(_ context.Context, who chat.PersonID, evidence string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.mayCompare(who)
	plain := strings.NewReplacer(" ", "", "-", "", "\n", "")
	switch {
	case err != nil:
		return err
	case plain.Replace(evidence) != plain.Replace(Number) && evidence != TheirQR:
		return chat.Errorf(chat.CodeDenied, "That is not what %s's device shows. Somebody may be between you: compare again, face to face.", p.Name)
	}
	n.relate(who, chat.RelationVerified, "")
	return nil
}
