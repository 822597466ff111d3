package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

// This file brings a new device home: PROTOCOL.md#pairing, on either side. What
// follows when both people have said yes is in welcome.go.

const (
	// maxGuessers bounds the devices that a new one tries a code with: each may
	// be an impostor, who then has one guess.
	maxGuessers = 3
	// answerTimeout bounds how long one of them may take to answer.
	answerTimeout = 10 * time.Second
	// lastChance is how long a new device that was refused waits for another one to
	// say that it shows a code: the two may have been shown at once.
	lastChance = 2 * time.Second
	// decideTimeout bounds how long the person may take to say yes on both.
	decideTimeout = 5 * time.Minute
)

// pairing is the adding of a device, as this side sees it. The loop owns it.
type pairing struct {
	adds    bool              // this side shows the code
	machine *identity.Pairing // nil on the new device between two tries
	state   chat.PairingState
	expires time.Time     // of the state
	peer    chat.DeviceID // the other device; zero while nobody has answered

	// Of the new device, while it looks for the one that shows the code.
	code     string
	label    string        // what it calls itself
	only     chat.DeviceID // where the code came as the text of a QR code
	tried    map[chat.DeviceID]bool
	answerBy time.Time // peer must have answered; without one, somebody to try must come
	last     error     // why the last one tried was not it

	paired       identity.Paired // once both have proved the code
	mine, theirs bool            // what the person has said yes to, here and there
	leaving      bool            // the new device is becoming the person's
}

// AddDevice shows a code for a new device. A code shown before ends.
func (n *Node) AddDevice(ctx context.Context) (chat.Pairing, error) {
	return inLoop(ctx, n, func(c *core) (chat.Pairing, error) {
		if err := c.mayPair(); err != nil {
			return chat.Pairing{}, err
		}
		if err := c.mayChangeDevices("add"); err != nil {
			return chat.Pairing{}, err
		}
		if len(c.own.registry.InUse()) >= identity.MaxDevices {
			return chat.Pairing{}, chat.Errorf(chat.CodeBusy,
				"You have %d devices, which is the most there can be. Revoke one that is not used: earshot device revoke ID", identity.MaxDevices)
		}
		machine, err := identity.ShowCode(c.now, rand.Reader, n.keys.Cert)
		if err != nil {
			return chat.Pairing{}, err
		}
		c.endPairing(errReplaced())
		c.pairing = &pairing{adds: true, machine: machine, state: chat.PairingCode, expires: c.now.Add(identity.PairingLife)}
		c.introduce()
		c.offerCode(true)
		return c.showPairing(), nil
	})
}

// JoinDevice looks for the device that shows a code, and becomes one of its person's.
func (n *Node) JoinDevice(ctx context.Context, offer, label string) (chat.Pairing, error) {
	only, code, err := identity.ParseOffer(offer)
	if err != nil {
		return chat.Pairing{}, err
	}
	if label == "" {
		label = hostLabel()
	}
	if len(label) > identity.MaxLabel {
		return chat.Pairing{}, chat.Errorf(chat.CodeTooLong, "The device's name is too long. Give one of at most %d bytes.", identity.MaxLabel)
	}
	if err := n.mayJoin(ctx); err != nil {
		return chat.Pairing{}, err
	}
	return inLoop(ctx, n, func(c *core) (chat.Pairing, error) {
		if err := c.mayPair(); err != nil {
			return chat.Pairing{}, err
		}
		if only == n.device {
			return chat.Pairing{}, chat.Errorf(chat.CodeUsage, "This is the device that shows the code. Type it on the new one: earshot device join CODE")
		}
		c.endPairing(errReplaced())
		c.pairing = &pairing{
			code: code, label: label, only: only, tried: map[chat.DeviceID]bool{},
			state: chat.PairingCode, expires: c.now.Add(identity.PairingLife),
		}
		out := c.showPairing()
		c.tryNext()
		return out, nil
	})
}

// ConfirmDevice says what the person has decided about the device at the other end.
func (n *Node) ConfirmDevice(ctx context.Context, yes bool) error {
	promised, err := inLoop(ctx, n, func(c *core) (<-chan error, error) {
		p := c.pairing
		if p == nil || p.state != chat.PairingConfirm {
			return nil, chat.Errorf(chat.CodeUsage, "No device waits to be confirmed. Begin with: earshot device add")
		}
		if !yes {
			c.tellDevice(p.peer, wire.Confirm{})
			c.endPairing(chat.Errorf(chat.CodeDenied, "You said no. Nothing was changed."))
			return nil, nil
		}
		p.mine = true
		if !p.adds {
			return c.promise(), nil
		}
		c.tellDevice(p.peer, wire.Confirm{Yes: true})
		c.welcomeIfAgreed()
		return nil, nil
	})
	if err != nil || promised == nil {
		return err
	}
	return n.wait(ctx, promised)
}

// wait returns what comes of something that the loop has begun.
func (n *Node) wait(ctx context.Context, out <-chan error) error {
	select {
	case err := <-out:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.loopDone:
		return errStopping()
	}
}

// CancelPairing ends the adding of a device; without one it does nothing.
func (n *Node) CancelPairing(ctx context.Context) error {
	return n.do(ctx, func(c *core) {
		if p := c.pairing; p != nil && !p.peer.IsZero() {
			c.tellDevice(p.peer, wire.Confirm{})
		}
		c.endPairing(chat.Errorf(chat.CodeDenied, "The pairing was cancelled. Start again if you want it after all."))
	})
}

// mayPair reports why no device can be paired now.
func (c *core) mayPair() error {
	switch {
	case c.n.host == nil:
		return chat.Errorf(chat.CodeNoNetwork, "This node is offline, and devices find each other on the network. Start it without --offline.")
	case c.circle.hides():
		return chat.Errorf(chat.CodeInvisible, "You are invisible, so no device can find this one. End that first: earshot invisible off")
	case c.pairing != nil && c.pairing.leaving:
		return chat.Errorf(chat.CodeBusy, "This device is just joining a person. Try again in a moment.")
	}
	return nil
}

// pairsWith reports whether a device may know who is here because of the pairing:
// any may while a code is shown, since the new one is a stranger yet; and the new one
// until it shows that it was welcomed, or it would be hung up on before it hears it.
func (c *core) pairsWith(d chat.DeviceID) bool {
	if _, welcome := c.own.welcomes[d]; welcome && c.own.registry.Standing(d) == identity.InUse {
		return true
	}
	p := c.pairing
	return p != nil && (p.peer == d || p.adds && p.peer.IsZero())
}

// errReplaced ends a pairing for a newer one.
func errReplaced() error {
	return chat.Errorf(chat.CodeDenied, "Another pairing was begun on this device. Go on with that one.")
}

// hostLabel is what a device is called whose person does not say.
func hostLabel() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return ""
	}
	name = chat.CleanName(name)
	for len(name) > identity.MaxLabel {
		name = string([]rune(name)[:len([]rune(name))-1])
	}
	return name
}

// showPairing tells faces how far the pairing is, and returns that.
func (c *core) showPairing() chat.Pairing {
	p := c.pairing
	out := chat.Pairing{State: p.state, Device: p.peer, Expires: p.expires.UTC()}
	switch {
	case p.state == chat.PairingCode && p.adds:
		out.Code, out.QR = p.machine.Code(c.now), p.machine.Offer(c.now)
	case p.state == chat.PairingCode:
		out.Device = p.only
	case p.adds:
		out.Label = chat.CleanName(p.paired.Label)
	default:
		out.Label = chat.CleanName(c.otherLabel(p))
	}
	c.n.feed.Publish(chat.PairingEvent{Pairing: out})
	return out
}

// otherLabel names the device that showed the code to the person at the new one: by
// its label, or by its person's name.
func (c *core) otherLabel(p *pairing) string {
	if p.paired.By.Label != "" {
		return p.paired.By.Label
	}
	if dev := c.people.devices[p.peer]; dev != nil {
		return dev.person.name
	}
	return p.paired.By.Person().Short()
}

// endPairing ends the pairing, if there is one, for a reason that the person is told.
func (c *core) endPairing(why error) {
	p := c.pairing
	if p == nil || p.leaving {
		return
	}
	c.pairing = nil
	if p.adds {
		c.offerCode(false)
	} else if p.mine {
		c.unpromise()
	}
	if p.machine != nil {
		p.machine.Cancel()
	}
	c.introduce() // to as many as before
	c.n.feed.Publish(chat.PairingEvent{Pairing: chat.Pairing{
		State: chat.PairingFailed, Device: p.peer, Reason: chat.AsError(why).Error(),
	}})
}

// offerCode tells all neighbours whether this device shows a code.
func (c *core) offerCode(shown bool) {
	for d := range c.neighbours {
		c.tellDevice(d, wire.CodeShown{Shown: shown})
	}
}

// tellDevice sends a frame to a neighbour, if it listens.
func (c *core) tellDevice(d chat.DeviceID, f wire.Frame) {
	if nb := c.neighbours[d]; nb != nil && nb.peer != nil {
		nb.peer.TrySend(wire.EncodeFrame(f))
	}
}

// metForPairing: a neighbour has said hello.
func (c *core) metForPairing(d chat.DeviceID) {
	c.welcomeAgain(d)
	p := c.pairing
	switch {
	case p == nil:
	case p.state == chat.PairingConfirm && d == p.peer && p.mine:
		c.tellDevice(d, wire.Confirm{Yes: true}) // the first one may have been lost with the connection
	case p.state == chat.PairingCode && p.adds && p.peer.IsZero():
		c.tellDevice(d, wire.CodeShown{Shown: true})
	case p.state == chat.PairingCode && !p.adds:
		c.tryNext()
	}
}

// lostForPairing: a neighbour is gone.
func (c *core) lostForPairing(d chat.DeviceID) {
	p := c.pairing
	if p == nil || d != p.peer || p.state != chat.PairingCode {
		return // what has been proved stays so while the connection comes back
	}
	err := chat.Errorf(chat.CodeUnreachable, "The connection to the other device was lost. Start again: a new code is shown.")
	if p.adds {
		c.endPairing(err)
	} else {
		c.tryFailed(err)
	}
}

// heardPairing takes a frame about pairing. Whoever sends one out of turn is ignored:
// it may be late, and no stranger is to end what two devices have begun.
func (c *core) heardPairing(d chat.DeviceID, f wire.Frame) {
	p := c.pairing
	switch f := f.(type) {
	case wire.CodeShown:
		nb := c.neighbours[d]
		nb.showsCode = time.Time{}
		if f.Shown {
			nb.showsCode = c.now
		}
		if p != nil && !p.adds && p.state == chat.PairingCode {
			c.tryNext()
		}
	case wire.Pairing:
		switch {
		case p == nil || p.machine == nil || p.state != chat.PairingCode || !p.peer.IsZero() && p.peer != d:
		case p.adds:
			c.answerNewDevice(d, f.Message)
		case p.peer == d:
			c.answered(f.Message)
		}
	case wire.Confirm:
		switch {
		case p == nil || p.peer != d || p.leaving:
		case !f.Yes && (p.state == chat.PairingConfirm || p.adds):
			c.endPairing(chat.Errorf(chat.CodeDenied, "The other device said no. Start again if that was a mistake."))
		case !f.Yes:
			c.tryFailed(chat.Errorf(chat.CodeDenied, "The other device said no. Start again if that was a mistake."))
		case p.state == chat.PairingConfirm && p.adds:
			p.theirs = true
			c.welcomeIfAgreed()
		}
	case wire.Welcome:
		c.welcomed(d, f)
	}
}

// answerNewDevice takes a message of whoever answers the code that is shown here. The
// first one ends the code, whatever it is.
func (c *core) answerNewDevice(d chat.DeviceID, message []byte) {
	p := c.pairing
	if p.peer.IsZero() {
		p.peer = d
		c.offerCode(false)
	}
	reply, err := p.machine.Receive(c.now, d, message)
	if err != nil {
		c.tellDevice(d, wire.Confirm{})
		c.endPairing(err)
		return
	}
	if reply != nil {
		c.tellDevice(d, wire.Pairing{Message: reply})
	}
	if paired, ok := p.machine.Paired(); ok {
		c.proved(paired)
	}
}

// answered takes the answer of the device that was tried.
func (c *core) answered(message []byte) {
	p := c.pairing
	reply, err := p.machine.Receive(c.now, p.peer, message)
	if err != nil {
		c.tellDevice(p.peer, wire.Confirm{})
		c.tryFailed(err)
		return
	}
	if reply != nil {
		c.tellDevice(p.peer, wire.Pairing{Message: reply})
	}
	if paired, ok := p.machine.Paired(); ok {
		c.proved(paired)
	}
}

// proved: both devices know the code. Now the person is asked, on both.
func (c *core) proved(paired identity.Paired) {
	p := c.pairing
	p.paired, p.state, p.expires = paired, chat.PairingConfirm, c.now.Add(decideTimeout)
	c.showPairing()
}

// tryFailed: the device that was tried is not the one that shows the code.
func (c *core) tryFailed(err error) {
	p := c.pairing
	p.peer, p.machine, p.last = chat.DeviceID{}, nil, err
	c.tryNext()
}

// tryNext has the new device try the code with the neighbour that was the last to
// say that it shows one, unless one is being tried or there is none.
func (c *core) tryNext() {
	p := c.pairing
	if !p.peer.IsZero() {
		return
	}
	if len(p.tried) >= maxGuessers || p.last != nil && p.tried[p.only] {
		c.endPairing(p.last)
		return
	}
	var next chat.DeviceID
	var since time.Time
	for d, nb := range c.neighbours {
		if nb.peer == nil || p.tried[d] {
			continue
		}
		if d == p.only {
			next = d
			break
		}
		if p.only.IsZero() && !nb.showsCode.IsZero() && (nb.showsCode.After(since) || nb.showsCode.Equal(since) && bytes.Compare(d[:], next[:]) < 0) {
			next, since = d, nb.showsCode
		}
	}
	if next.IsZero() {
		p.answerBy = c.now.Add(lastChance)
		return
	}
	machine, hello, err := identity.EnterCode(c.now, rand.Reader, c.n.device, next, p.code, p.label)
	if err != nil {
		c.endPairing(err)
		return
	}
	p.machine, p.peer, p.answerBy = machine, next, c.now.Add(answerTimeout)
	p.tried[next] = true
	c.tellDevice(next, wire.Pairing{Message: hello})
}

// pairingTick ends what has taken too long.
func (c *core) pairingTick() {
	p := c.pairing
	switch {
	case p == nil || p.leaving:
	case !c.now.Before(p.expires):
		switch {
		case p.state == chat.PairingConfirm:
			c.endPairing(chat.Errorf(chat.CodeUnreachable, "It was not confirmed on both devices in time. Start again: a new code is shown."))
		case p.adds:
			c.endPairing(chat.Errorf(chat.CodeUnreachable, "The pairing code has expired. Start again and type the new one."))
		default:
			c.endPairing(chat.Errorf(chat.CodeUnreachable,
				"No device on this network shows a pairing code. Run `earshot device add` on the device that you have, and type what it shows."))
		}
	case !p.tries() || c.now.Before(p.answerBy):
	case p.peer.IsZero():
		c.endPairing(p.last)
	default:
		c.tryFailed(chat.Errorf(chat.CodeUnreachable, "The device that shows a code did not answer. Start again: a new code is shown."))
	}
}

// tries reports whether a new device waits for an answer, or for somebody to try
// after one was not it.
func (p *pairing) tries() bool {
	return p.state == chat.PairingCode && !p.adds && (!p.peer.IsZero() || p.last != nil)
}

// nextPairingTick returns when pairingTick is due; zero for never.
func (c *core) nextPairingTick() time.Time {
	p := c.pairing
	switch {
	case p == nil || p.leaving:
		return time.Time{}
	case p.tries() && p.answerBy.Before(p.expires):
		return p.answerBy
	}
	return p.expires
}

// inLoop runs f in the loop and returns what it returns.
func inLoop[T any](ctx context.Context, n *Node, f func(*core) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	out := make(chan result, 1) // f may run after ctx has ended
	if err := n.do(ctx, func(c *core) {
		v, err := f(c)
		out <- result{v, err}
	}); err != nil {
		var zero T
		return zero, err
	}
	r := <-out
	return r.value, r.err
}
