package apitest

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"earshot/chat"
)

// This file is this person's own devices.

// Code is what every pairing shows here, PairingQR its text as a QR code.
const (
	Code      = "4821 9037"
	PairingQR = "EARSHOT:PAIR:48219037"
)

// pairing is one that is under way.
type pairing struct {
	chat.Pairing
	we, theirs bool // have confirmed
}

// Pair makes the other device of a pairing turn up: both have proved the code.
// label is what it is called.
func (n *Node) Pair(label string) chat.DeviceID {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pairing == nil {
		panic("apitest: no pairing is under way")
	}
	_, _ = rand.Read(n.pairing.Device[:]) // never fails
	n.pairing.Label = label
	n.pair(chat.PairingConfirm, "")
	return n.pairing.Device
}

// Confirms makes the person answer on the other device of a pairing.
func (n *Node) Confirms(yes bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pairing == nil {
		panic("apitest: no pairing is under way")
	}
	if !yes {
		n.pair(chat.PairingFailed, "It was refused on the other device.")
		return
	}
	n.pairing.theirs = true
	n.paired()
}

// pair moves the pairing on and tells. n.mu is held.
func (n *Node) pair(to chat.PairingState, reason string) {
	n.pairing.State, n.pairing.Reason = to, reason
	n.feed.Publish(chat.PairingEvent{Pairing: n.pairing.Pairing})
	if to.Over() {
		n.pairing = nil
	}
}

// paired ends the pairing if both have confirmed. n.mu is held.
func (n *Node) paired() {
	p := n.pairing
	if !p.we || !p.theirs {
		return
	}
	n.devices = append(n.devices, chat.OwnDevice{Device: p.Device, Label: p.Label, AddedAt: time.Now().UTC(), LastSeen: time.Now().UTC(), Presence: chat.Here})
	n.pair(chat.PairingDone, "")
}

func (n *Node) Devices(context.Context) ([]chat.OwnDevice, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.devices), n.fail
}

func (n *Node) AddDevice(context.Context) (chat.Pairing, error) {
	return n.begin(&pairing{Pairing: chat.Pairing{
		State: chat.PairingCode, Code: Code, QR: PairingQR, Expires: time.Now().Add(5 * time.Minute).UTC(),
	}})
}

func (n *Node) JoinDevice(_ context.Context, code, label string) (chat.Pairing, error) {
	digits := func(s string) string { return strings.NewReplacer(" ", "", "-", "").Replace(s) }
	if digits(code) != digits(Code) && code != PairingQR {
		return chat.Pairing{}, chat.Errorf(chat.CodeDenied, "No device of yours shows that code. Begin again with `earshot device add` there.")
	}
	return n.begin(&pairing{Pairing: chat.Pairing{State: chat.PairingCode, Label: label}})
}

func (n *Node) begin(p *pairing) (chat.Pairing, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.fail != nil:
		return chat.Pairing{}, n.fail
	case n.pairing != nil:
		return chat.Pairing{}, chat.Errorf(chat.CodeBusy, "A device is being added already. Wait until that has ended.")
	}
	n.pairing = p
	n.feed.Publish(chat.PairingEvent{Pairing: p.Pairing})
	return p.Pairing, nil
}

func (n *Node) ConfirmDevice(_ context.Context, yes bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.fail != nil:
		return n.fail
	case n.pairing == nil || n.pairing.State != chat.PairingConfirm:
		return chat.Errorf(chat.CodeNotFound, "There is nothing to confirm now. Begin with: earshot device add")
	case !yes:
		n.pair(chat.PairingFailed, "You refused it.")
		return nil
	}
	n.pairing.we = true
	n.paired()
	return nil
}

func (n *Node) CancelPairing(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pairing != nil && n.fail == nil {
		n.pair(chat.PairingFailed, "It was called off.")
	}
	return n.fail
}

func (n *Node) RevokeDevice(_ context.Context, device chat.DeviceID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.devices, func(d chat.OwnDevice) bool { return d.Device == device && !d.Revoked })
	switch {
	case n.fail != nil:
		return n.fail
	case i < 0:
		return chat.Errorf(chat.CodeNotFound, "You have no such device in use. See `earshot device list`.")
	case n.devices[i].This:
		return chat.Errorf(chat.CodeDenied, "A device can't revoke itself. Do that on another one of yours.")
	}
	n.devices[i].Revoked, n.devices[i].Presence = true, chat.Gone
	return nil
}
