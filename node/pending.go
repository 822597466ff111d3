package node

import (
	"context"

	"earshot/chat"
)

// This file answers for what the node has no parts for yet: honestly.

func pending() error {
	return chat.Errorf(chat.CodeInternal, "This version of Earshot can't do that yet. Use a newer one.")
}

func (n *Node) FindPerson(_ context.Context, _ string) (chat.Person, error) {
	return chat.Person{}, pending()
}

func (n *Node) Contacts(context.Context) ([]chat.Contact, error) {
	return nil, pending()
}

func (n *Node) AddContact(_ context.Context, _ chat.PersonID, _ string) (chat.Contact, error) {
	return chat.Contact{}, pending()
}

func (n *Node) AcceptContact(_ context.Context, _ chat.PersonID) error {
	return pending()
}

func (n *Node) DeclineContact(_ context.Context, _ chat.PersonID) error {
	return pending()
}

func (n *Node) BlockPerson(_ context.Context, _ chat.PersonID) error {
	return pending()
}

func (n *Node) UnblockPerson(_ context.Context, _ chat.PersonID) error {
	return pending()
}

func (n *Node) ForgetContact(_ context.Context, _ chat.PersonID) error {
	return pending()
}

func (n *Node) DecideClaim(_ context.Context, _, _ chat.PersonID, _ bool) error {
	return pending()
}

func (n *Node) Privacy(context.Context) (chat.Privacy, error) {
	return chat.Privacy{}, pending()
}

func (n *Node) SetPrivacy(_ context.Context, _ chat.Privacy) error {
	return pending()
}

func (n *Node) StartVerification(_ context.Context, _ chat.PersonID) (chat.Verification, error) {
	return chat.Verification{}, pending()
}

func (n *Node) SayVerification(_ context.Context, _ chat.PersonID, _ bool) error {
	return pending()
}

func (n *Node) CancelVerification(_ context.Context, _ chat.PersonID) error {
	return pending()
}

func (n *Node) MarkVerified(_ context.Context, _ chat.PersonID, _ string) error {
	return pending()
}

func (n *Node) Devices(context.Context) ([]chat.OwnDevice, error) {
	return nil, pending()
}

func (n *Node) AddDevice(context.Context) (chat.Pairing, error) {
	return chat.Pairing{}, pending()
}

func (n *Node) JoinDevice(_ context.Context, _, _ string) (chat.Pairing, error) {
	return chat.Pairing{}, pending()
}

func (n *Node) ConfirmDevice(_ context.Context, _ bool) error {
	return pending()
}

func (n *Node) CancelPairing(context.Context) error {
	return pending()
}

func (n *Node) RevokeDevice(_ context.Context, _ chat.DeviceID) error {
	return pending()
}

func (n *Node) Verification(_ context.Context, _ chat.PersonID) (chat.Verification, error) {
	return chat.Verification{}, pending()
}
