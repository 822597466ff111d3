package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

// This file is how two people find out that each holds the other's true root key
// (chat/PROTOCOL.md#verification).

// verification is a comparison of symbols with a contact, from its first message
// until it is over.
type verification struct {
	device   chat.DeviceID // theirs, at the other end
	state    chat.VerificationState
	symbols  []string
	deadline time.Time
	machine  *identity.Comparison // nil while only they have asked
	commit   []byte               // their first message, while only they have asked
	began    bool                 // this person began it
}

// endOfVerification is the message that calls a comparison off: a map of nothing.
var endOfVerification = []byte{0xa0}

// opensVerification reports whether a message is the first one of a comparison.
func opensVerification(message []byte) bool {
	var m struct {
		Version uint64 `cbor:"1,keyasint,omitempty"`
		Commit  []byte `cbor:"2,keyasint,omitempty"`
	}
	return wire.Unmarshal(message, &m) == nil && m.Version != 0 && len(m.Commit) > 0
}

// sides returns who this device is in a comparison, and whom it compares with.
func (c *core) sides(d chat.DeviceID) (own, peer identity.Side, ok bool) {
	dev := c.people.devices[d]
	if dev == nil || len(dev.person.root) != len(peer.Root) {
		return own, peer, false
	}
	return identity.Side{Root: c.n.keys.Cert.Root, Device: c.n.device},
		identity.Side{Root: [32]byte(dev.person.root), Device: d}, true
}

// deviceOf returns the device of a person to talk to: of those that hear this one,
// the first.
func (c *core) deviceOf(who chat.PersonID) (chat.DeviceID, bool) {
	if per := c.people.persons[who]; per != nil {
		for _, dev := range per.devices {
			if nb := c.neighbours[dev.id]; nb != nil && nb.peer != nil && !c.revokedBy(who, dev.id) {
				return dev.id, true
			}
		}
	}
	return chat.DeviceID{}, false
}

// Verification returns the Number and QR of a contact and, while a comparison is
// under way, where it stands.
func (n *Node) Verification(ctx context.Context, who chat.PersonID) (chat.Verification, error) {
	return inLoop(ctx, n, func(c *core) (chat.Verification, error) {
		if err := c.mayVerify(who); err != nil {
			return chat.Verification{}, err
		}
		v := c.circle.verifications[who]
		if v == nil {
			v = &verification{}
		}
		return c.faceVerification(who, v), nil
	})
}

// StartVerification begins a live comparison with a contact, or joins the one they
// have begun or that is under way. Somebody who is not here yields
// VerificationEnded and a Reason; Number and QR are set all the same.
func (n *Node) StartVerification(ctx context.Context, who chat.PersonID) (chat.Verification, error) {
	return inLoop(ctx, n, func(c *core) (chat.Verification, error) { return c.startVerification(who) })
}

func (c *core) startVerification(who chat.PersonID) (chat.Verification, error) {
	if err := c.mayVerify(who); err != nil {
		return chat.Verification{}, err
	}
	v := c.circle.verifications[who]
	if v == nil {
		d, here := c.deviceOf(who)
		own, peer, known := c.sides(d)
		if !here || !known {
			out := c.faceVerification(who, &verification{state: chat.VerificationEnded})
			out.Reason = c.displayName(who) + " is not here now. Compare the number or the code when you meet or talk, or start again when they are back."
			return out, nil
		}
		machine, first, err := identity.Compare(c.now, rand.Reader, c.n.keys.Device, own, peer)
		if err != nil {
			return chat.Verification{}, err
		}
		v = &verification{device: d, state: chat.VerificationWaiting, deadline: c.now.Add(identity.ComparisonLife), machine: machine, began: true}
		c.circle.verifications[who] = v
		c.sendVerify(d, first)
		c.showVerification(who, v)
	} else if v.machine == nil {
		if err := c.respond(who, v); err != nil {
			return chat.Verification{}, err
		}
	}
	return c.faceVerification(who, v), nil
}

// mayVerify reports why there is nothing to verify about a person.
func (c *core) mayVerify(who chat.PersonID) error {
	if who == c.n.person {
		return chat.Errorf(chat.CodeUsage, "That is you. Give the name of a contact.")
	}
	if !c.circle.engine.Relation(who).Known() {
		return chat.Errorf(chat.CodeNotContact, "%s is not a contact, and only contacts are verified. Ask them first: earshot add %s",
			c.displayName(who), who.Short())
	}
	return nil
}

// respond takes part in the comparison that they have begun.
func (c *core) respond(who chat.PersonID, v *verification) error {
	own, peer, ok := c.sides(v.device)
	if !ok {
		return chat.Errorf(chat.CodeUnreachable, "They are not here any more. Start again when they are back.")
	}
	machine, err := identity.Respond(c.now, rand.Reader, c.n.keys.Device, own, peer)
	if err != nil {
		return err
	}
	v.machine = machine
	reply, err := machine.Receive(c.now, v.commit)
	if err != nil {
		c.failVerification(who, v, err)
		return err
	}
	v.state, v.commit = chat.VerificationWaiting, nil
	c.sendVerify(v.device, reply)
	c.showVerification(who, v)
	return nil
}

// heardVerify takes a message of a comparison. From anybody but a contact nothing of
// the kind reaches this person.
func (c *core) heardVerify(d chat.DeviceID, who chat.PersonID, f wire.Verify) {
	if !c.circle.engine.Relation(who).Known() || c.revokedBy(who, d) || !c.n.standings.allow(&c.n.standings.verifies, c.now, d) {
		return
	}
	v := c.circle.verifications[who]
	if opensVerification(f.Message) {
		c.askedToVerify(d, who, v, f.Message)
		return
	}
	if v == nil || v.device != d {
		return // of one that is over
	}
	if bytes.Equal(f.Message, endOfVerification) {
		c.overVerification(who, v, chat.VerificationEnded, "They have called it off. Start again if you both want it after all.")
		return
	}
	if v.machine == nil {
		return // they go on with what this device never took part in
	}
	reply, err := v.machine.Receive(c.now, f.Message)
	if err != nil {
		c.failVerification(who, v, err)
		return
	}
	if reply != nil {
		c.sendVerify(d, reply)
	}
	if symbols, ok := v.machine.Symbols(); ok && v.symbols == nil {
		v.state = chat.VerificationCompare
		for _, s := range symbols {
			v.symbols = append(v.symbols, s.String())
		}
		c.showVerification(who, v)
	}
	if v.machine.Verified() {
		c.verified(who, v)
	}
}

// askedToVerify: they begin a comparison. If both have, the one that the lower
// device began stands.
func (c *core) askedToVerify(d chat.DeviceID, who chat.PersonID, v *verification, commit []byte) {
	mine := v != nil && v.device == d && v.began && v.state == chat.VerificationWaiting && v.symbols == nil
	if mine && bytes.Compare(c.n.device[:], d[:]) < 0 {
		return // they see it as this device does
	}
	if v != nil && v.machine != nil && !mine {
		v.machine.Cancel() // theirs is over: they begin anew
		c.overVerification(who, v, chat.VerificationEnded, "They began again.")
	}
	v = &verification{device: d, state: chat.VerificationAsked, deadline: c.now.Add(identity.ComparisonLife), commit: bytes.Clone(commit)}
	c.circle.verifications[who] = v
	if mine { // this person has said that they want to
		_ = c.respond(who, v) // what fails is shown
		return
	}
	c.showVerification(who, v)
}

// SayVerification says whether both see the same symbols.
func (n *Node) SayVerification(ctx context.Context, who chat.PersonID, same bool) error {
	return n.attempt(ctx, func(c *core) error { return c.sayVerification(who, same) })
}

// attempt runs f in the loop and returns what it does.
func (n *Node) attempt(ctx context.Context, f func(*core) error) error {
	_, err := inLoop(ctx, n, func(c *core) (struct{}, error) { return struct{}{}, f(c) })
	return err
}

func (c *core) sayVerification(who chat.PersonID, same bool) error {
	v := c.circle.verifications[who]
	if v == nil || v.machine == nil {
		return chat.Errorf(chat.CodeUsage, "There are no symbols to compare with %s now. Start a verification: earshot verify %s", c.displayName(who), who.Short())
	}
	message, err := v.machine.Say(c.now, same)
	if err != nil {
		return err
	}
	c.sendVerify(v.device, message)
	switch {
	case !same:
		c.overVerification(who, v, chat.VerificationDifferent, differentKeys)
	case v.machine.Verified():
		c.verified(who, v)
	default:
		v.state = chat.VerificationSaid
		c.showVerification(who, v)
	}
	return nil
}

// differentKeys says what a mismatch means.
const differentKeys = "The symbols are not the same: somebody may sit between you and read along. Write nothing private, and compare again in person, or by the 60-digit number over another way that you trust."

// CancelVerification calls a comparison off.
func (n *Node) CancelVerification(ctx context.Context, who chat.PersonID) error {
	return n.attempt(ctx, func(c *core) error {
		v := c.circle.verifications[who]
		if v == nil {
			return chat.Errorf(chat.CodeNotFound, "No verification with %s is under way. There is nothing to call off.", c.displayName(who))
		}
		c.sendVerify(v.device, endOfVerification)
		c.overVerification(who, v, chat.VerificationEnded, "You have called it off.")
		return nil
	})
}

// MarkVerified takes evidence from the other person's device: the 60 digits, or the
// text of their QR code. Evidence that does not fit has chat.CodeDenied.
func (n *Node) MarkVerified(ctx context.Context, who chat.PersonID, evidence string) error {
	if err := n.attempt(ctx, func(c *core) error { return c.checkEvidence(who, evidence) }); err != nil {
		return err
	}
	return n.decide(ctx, contacts.Verify{Person: who})
}

func (c *core) checkEvidence(who chat.PersonID, evidence string) error {
	if err := c.mayVerify(who); err != nil {
		return err
	}
	name := c.displayName(who)
	root := c.people.persons[who].root
	if len(root) == 0 {
		return chat.Errorf(chat.CodeUnreachable, "The key of %s is not known here yet. Verify them when they have been here.", name)
	}
	evidence = strings.TrimSpace(evidence)
	if strings.HasPrefix(strings.ToUpper(evidence), qrPrefix) {
		return checkQR(name, who, root, evidence)
	}
	digits := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\n' || r == '\t' || r == '\r' {
			return -1
		}
		return r
	}, evidence)
	if len(digits) != 60 || strings.Trim(digits, "0123456789") != "" {
		return chat.Errorf(chat.CodeUsage, "That is neither a number of 60 digits nor the text of a code. Copy all of it from %s's device.", name)
	}
	if digits != strings.ReplaceAll(identity.SafetyNumber(c.n.keys.Cert.Root[:], root), " ", "") {
		return chat.Errorf(chat.CodeDenied,
			"The numbers are not the same: this is not the key of %s that this device holds, and somebody may sit between you and read along. Write nothing private. Read the number again, from the screen of their own device; if it still differs, forget this contact and ask again in person.", name)
	}
	return nil
}

// qrPrefix begins the text of the code that a person shows, of version 1:
// PersonID and root key in hexadecimal follow.
const qrPrefix = "EARSHOT:PERSON:1:"

// qrText is the code of a person (chat/PROTOCOL.md#codes): in capitals, of which a QR
// code holds more.
func qrText(p chat.PersonID, root []byte) string {
	return qrPrefix + p.String() + ":" + strings.ToUpper(hex.EncodeToString(root))
}

func checkQR(name string, who chat.PersonID, root []byte, text string) error {
	id, key, ok := strings.Cut(text[len(qrPrefix):], ":")
	p, err := chat.ParsePersonID(id)
	raw, hexErr := hex.DecodeString(key)
	switch {
	case !ok || err != nil || hexErr != nil || len(raw) != len(root) || identity.Person(raw) != p:
		return chat.Errorf(chat.CodeUsage, "The code is damaged. Scan it again, from the screen of %s's own device.", name)
	case p != who:
		return chat.Errorf(chat.CodeDenied,
			"That is the code of %s, and not of %s: they are two people with two keys. Scan it from the screen of %s's own device; if it is, whoever is called %s here is somebody else, and nothing private should be written to them.",
			p.Short(), who.Short(), name, name)
	case !bytes.Equal(raw, root):
		return chat.Errorf(chat.CodeDenied, "The code holds another key than this device does. Write nothing private to %s, and verify in person.", name)
	}
	return nil
}

// verified: both have said that they see the same.
func (c *core) verified(who chat.PersonID, v *verification) {
	delete(c.circle.verifications, who)
	v.state = chat.VerificationVerified
	out := c.faceVerification(who, v)
	n := c.n
	c.contact(contacts.Verify{Person: who}, func(err error) {
		if err != nil {
			out.State, out.Reason = chat.VerificationEnded, chat.AsError(err).Error()
		}
		n.feed.Publish(chat.VerificationEvent{Verification: out})
	})
}

// failVerification ends a comparison that went wrong.
func (c *core) failVerification(who chat.PersonID, v *verification, err error) {
	state, reason := chat.VerificationEnded, chat.AsError(err).Error()
	switch chat.CodeOf(err) {
	case chat.CodeDenied: // they see others
		state, reason = chat.VerificationDifferent, differentKeys
	case chat.CodeInvalid:
		c.refuse(v.device, err)
		c.sendVerify(v.device, endOfVerification)
	default:
		c.sendVerify(v.device, endOfVerification)
	}
	c.overVerification(who, v, state, reason)
}

// overVerification ends a comparison and says why.
func (c *core) overVerification(who chat.PersonID, v *verification, state chat.VerificationState, reason string) {
	delete(c.circle.verifications, who)
	if v.machine != nil {
		v.machine.Cancel()
	}
	v.state, v.symbols = state, nil
	out := c.faceVerification(who, v)
	out.Reason = reason
	c.n.feed.Publish(chat.VerificationEvent{Verification: out})
}

// endVerification ends a comparison with a person, if there is one.
func (c *core) endVerification(who chat.PersonID, reason string) {
	if v := c.circle.verifications[who]; v != nil {
		c.sendVerify(v.device, endOfVerification)
		c.overVerification(who, v, chat.VerificationEnded, reason)
	}
}

// endVerificationWith ends the comparison with a device that is gone.
func (c *core) endVerificationWith(d chat.DeviceID, reason string) {
	dev := c.people.devices[d]
	if dev == nil {
		return
	}
	if v := c.circle.verifications[dev.person.id]; v != nil && v.device == d {
		c.overVerification(dev.person.id, v, chat.VerificationEnded, reason)
	}
}

func (c *core) tickVerifications() {
	for who, v := range c.circle.verifications {
		if c.now.After(v.deadline) {
			c.sendVerify(v.device, endOfVerification)
			c.overVerification(who, v, chat.VerificationEnded, "It took too long. Start it again when both of you are there.")
		}
	}
}

func (c *core) nextVerificationTick() (next time.Time) {
	for _, v := range c.circle.verifications {
		if next.IsZero() || v.deadline.Before(next) {
			next = v.deadline.Add(1)
		}
	}
	return next
}

func (c *core) sendVerify(d chat.DeviceID, message []byte) {
	if nb := c.neighbours[d]; nb != nil && nb.peer != nil {
		nb.peer.TrySend(wire.EncodeFrame(wire.Verify{Message: message}))
	}
}

func (c *core) showVerification(who chat.PersonID, v *verification) {
	c.n.feed.Publish(chat.VerificationEvent{Verification: c.faceVerification(who, v)})
}

// faceVerification returns what faces are told of a comparison.
func (c *core) faceVerification(who chat.PersonID, v *verification) chat.Verification {
	own := c.n.keys.Cert.Root[:]
	out := chat.Verification{
		Person: who, Name: c.displayName(who), State: v.state, Symbols: v.symbols, QR: qrText(c.n.person, own),
	}
	if per := c.people.persons[who]; per != nil && len(per.root) > 0 {
		out.Number = identity.SafetyNumber(own, per.root)
	}
	return out
}
