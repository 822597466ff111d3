package node

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
	"earshot/node/keyring"
	"earshot/node/store"
)

// This file makes a new device one of a person's, once both sides have said yes to
// the pairing. Cut short at any moment, it is finished when the two meet again.

// joinTimeout is how long a new device whose person has said yes waits to be
// welcomed, also over restarts.
const joinTimeout = time.Hour

// promised is what a new device keeps of a pairing that its person has said yes to:
// from whom it takes a welcome, and under which root.
type promised struct {
	By      identity.Certificate
	Expires time.Time
}

type promisedState struct {
	By      []byte `cbor:"1,keyasint"`
	Expires int64  `cbor:"2,keyasint"` // seconds since 1970
}

func (p *promised) encode() []byte {
	return wire.Marshal(promisedState{By: p.By.Bytes(), Expires: p.Expires.Unix()})
}

func decodePromised(b []byte) (*promised, error) {
	var s promisedState
	if err := wire.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	by, err := identity.Parse(s.By)
	if err == nil {
		err = by.Verify()
	}
	if err != nil {
		return nil, err
	}
	return &promised{By: by, Expires: time.Unix(s.Expires, 0)}, nil
}

// promise: the person at the new device has said yes. That is stored before the other
// device hears of it, which may welcome this one at once. The channel yields what came
// of it.
func (c *core) promise() <-chan error {
	p := c.pairing
	p.expires = c.now.Add(joinTimeout)
	kept := promised{By: p.paired.By, Expires: p.expires}
	out := make(chan error, 1)
	c.n.keep(store.Batch{State: []store.StateChange{{Key: stateJoining, Value: kept.encode()}}}, func(err error) {
		c.n.soon(func(c *core) {
			switch {
			case c.pairing != p:
			case err != nil:
				c.endPairing(err)
			default:
				c.tellDevice(p.peer, wire.Confirm{Yes: true})
			}
			out <- err
		})
	})
	return out
}

// unpromise forgets what was promised.
func (c *core) unpromise() {
	c.n.store.Commit(store.Batch{State: []store.StateChange{{Key: stateJoining}}}, nil)
}

// goOnJoining takes up, after a restart, what was promised.
func (c *core) goOnJoining(p *promised) {
	switch {
	case p == nil:
	case p.By.Root == c.n.keys.Cert.Root || !c.now.Before(p.Expires):
		c.unpromise() // done, or too late
	default:
		c.pairing = &pairing{
			state: chat.PairingConfirm, expires: p.Expires, peer: p.By.Device,
			paired: identity.Paired{New: c.n.device, By: p.By}, mine: true,
		}
	}
}

// welcomeIfAgreed signs what makes the new device the person's, once both sides have
// said yes.
func (c *core) welcomeIfAgreed() {
	p := c.pairing
	if !p.mine || !p.theirs {
		return
	}
	if err := c.welcome(p); err != nil {
		c.tellDevice(p.peer, wire.Confirm{})
		c.endPairing(err)
	}
}

func (c *core) welcome(p *pairing) error {
	n, r := c.n, c.own.registry
	// Certificates lie in the clear in sealed logs, where a label would be a name;
	// the device list, which is sealed, has it.
	cert, err := identity.Sign(n.keys.Root, p.paired.New, c.now, "")
	if err != nil {
		return err
	}
	devices := r.InUse()
	if len(devices) == 0 {
		devices = []identity.ListedDevice{{Device: n.device, Label: c.ownLabel()}}
	}
	devices = append(devices, identity.ListedDevice{Device: p.paired.New, Label: p.paired.Label})
	p.leaving = true // what is signed can't be called off
	out, err := c.sign(devices, store.StateChange{Key: stateWelcome + p.peer.String(), Value: cert.Bytes()}, func(c *core) {
		c.own.welcomes[p.peer] = cert
		c.welcomeAgain(p.peer)
		p.leaving, p.state = false, chat.PairingDone
		c.showPairing()
		c.pairing = nil
		c.introduce()
	})
	if err != nil {
		p.leaving = false
		return err
	}
	n.spawn(func(ctx context.Context) {
		select {
		case err := <-out:
			if err != nil {
				_ = n.tell(ctx, func(c *core) { p.leaving = false; c.endPairing(err) })
			}
		case <-ctx.Done():
		}
	})
	return nil
}

// welcomeAgain says welcome to a new device that may not have heard it, and no more
// once it shows the certificate.
func (c *core) welcomeAgain(d chat.DeviceID) {
	cert, ok := c.own.welcomes[d]
	if !ok {
		return
	}
	if dev := c.people.devices[d]; dev != nil && dev.person.id == c.n.person {
		delete(c.own.welcomes, d)
		c.n.store.Commit(store.Batch{State: []store.StateChange{{Key: stateWelcome + d.String()}}}, nil)
		return
	}
	c.tellDevice(d, wire.Welcome{Certificate: cert.Bytes(), List: c.own.registry.List().Bytes(), Name: c.n.Name()})
}

// welcomed takes a welcome that this device waits for, from whom it was promised to.
func (c *core) welcomed(d chat.DeviceID, w wire.Welcome) {
	p := c.pairing
	if p == nil || p.adds || p.leaving || p.state != chat.PairingConfirm || !p.mine || p.peer != d {
		return
	}
	cert, list, err := checkWelcome(w, p.paired.By, c.n.device)
	if err != nil {
		c.refuse(d, err)
		return
	}
	p.leaving = true
	n := c.n
	n.spawn(func(ctx context.Context) {
		err := n.adopt(ctx, cert, list, p.paired.By.Device, w.Name)
		_ = n.tell(ctx, func(c *core) {
			p.leaving = false
			if err != nil {
				c.endPairing(err)
				return
			}
			p.state = chat.PairingDone
			c.showPairing()
			p.leaving = true
			n.restart()
		})
	})
}

// checkWelcome reads a welcome and checks that it makes this device one of the person
// it was shown, and no other's.
func checkWelcome(w wire.Welcome, by identity.Certificate, self chat.DeviceID) (identity.Certificate, identity.DeviceList, error) {
	cert, err := identity.Parse(w.Certificate)
	if err != nil {
		return cert, identity.DeviceList{}, err
	}
	list, err := identity.ParseDevices(w.List)
	if err != nil {
		return cert, list, err
	}
	if err := cert.Verify(); err != nil {
		return cert, list, err
	}
	if err := list.Verify(); err != nil {
		return cert, list, err
	}
	r := identity.NewRegistry(by.Root)
	if _, err := r.Take(list); err != nil {
		return cert, list, err
	}
	if cert.Root != by.Root || cert.Device != self || r.Standing(self) != identity.InUse || r.Standing(by.Device) != identity.InUse {
		return cert, list, chat.Errorf(chat.CodeInvalid, "A device welcomed this one as another, or to another person. It was refused; nothing needs to be done.")
	}
	return cert, list, nil
}

// adopt makes this home the person's. The key file comes last: until then, it has not
// happened, and the welcome comes again.
func (n *Node) adopt(ctx context.Context, cert identity.Certificate, list identity.DeviceList, root chat.DeviceID, name string) error {
	if err := n.mayJoin(ctx); err != nil {
		return err
	}
	r := identity.NewRegistry(cert.Root)
	if _, err := r.Take(list); err != nil {
		return err
	}
	logs, err := n.store.Logs(ctx)
	if err != nil {
		return err
	}
	stored := make(chan error, 1)
	n.keep(store.Batch{State: []store.StateChange{
		{Key: stateList, Value: r.Snapshot()}, {Key: stateRoot, Value: root[:]},
	}}, func(err error) { stored <- err })
	if err := <-stored; err != nil {
		return err
	}
	if err := n.lock.StartOver(lastOwn(logs, n.device, time.Now())); err != nil {
		return err
	}
	return keyring.Adopt(n.cfg.Home, n.keys, cert, name)
}

// mayJoin reports why this home can't become a device of somebody's: it has relations
// and conversations of its own, which would be nobody's then.
func (n *Node) mayJoin(ctx context.Context) error {
	taken := func(what string) error {
		return chat.Errorf(chat.CodeDenied,
			"This home has %s already, which would be lost. Join with an empty one: earshot --home DIRECTORY device join CODE", what)
	}
	if n.keys.Root == nil {
		return chat.Errorf(chat.CodeDenied, "This device belongs to a person already, whose root key is elsewhere. Join with an empty home: earshot --home DIRECTORY device join CODE")
	}
	_, err := inLoop(ctx, n, func(c *core) (struct{}, error) {
		if c.knowsSomebody() {
			return struct{}{}, taken("contacts")
		}
		if len(c.own.registry.List().Bytes()) > 0 {
			return struct{}{}, taken("other devices")
		}
		return struct{}{}, nil
	})
	if err != nil {
		return err
	}
	rooms, err := n.store.Rooms(ctx)
	if err != nil {
		return err
	}
	for _, r := range rooms {
		if r.Kind.Sealed() && r.Joined {
			return taken("private conversations")
		}
	}
	return nil
}

// restart ends the node: who runs it starts another one on the home, which is another
// person's now. Close ends the goroutine that it starts.
func (n *Node) restart() {
	n.adopted.Store(true)
	go func() { _ = n.Close(context.Background()) }()
}

// Adopted reports whether the node ends, or has ended, by itself because this device
// has joined another person. A node that is started on the home then is that person's.
func (n *Node) Adopted() bool { return n.adopted.Load() }
