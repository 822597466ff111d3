package apitest

import (
	"context"

	"earshot/chat"
)

// This file answers for what the node has no parts for yet: honestly.

func pending() error {
	return chat.Errorf(chat.CodeInternal, "The stand-in can't do that yet. Use a newer one.")
}

func (n *Node) DirectChat(_ context.Context, _ chat.PersonID) (chat.Room, error) {
	return chat.Room{}, pending()
}

func (n *Node) CreateRoom(_ context.Context, _, _ string) (chat.Room, error) {
	return chat.Room{}, pending()
}

func (n *Node) Members(_ context.Context, _ chat.RoomID) ([]chat.Member, error) {
	return nil, pending()
}

func (n *Node) Invite(_ context.Context, _ chat.RoomID, _ chat.PersonID, _ string) error {
	return pending()
}

func (n *Node) Remove(_ context.Context, _ chat.RoomID, _ chat.PersonID) error {
	return pending()
}

func (n *Node) SetRole(_ context.Context, _ chat.RoomID, _ chat.PersonID, _ string) error {
	return pending()
}

func (n *Node) RenameRoom(_ context.Context, _ chat.RoomID, _ string) error {
	return pending()
}

func (n *Node) SetTopic(_ context.Context, _ chat.RoomID, _ string) error {
	return pending()
}

func (n *Node) Invitations(context.Context) ([]chat.Invitation, error) {
	return nil, pending()
}

func (n *Node) AcceptInvitation(_ context.Context, _ chat.RoomID) (chat.Room, error) {
	return chat.Room{}, pending()
}

func (n *Node) DeclineInvitation(_ context.Context, _ chat.RoomID) error {
	return pending()
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
