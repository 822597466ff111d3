package node

import (
	"context"

	"earshot/chat"
)

// This file answers for what the node has no parts for yet: honestly.

func pending() error {
	return chat.Errorf(chat.CodeInternal, "This version of Earshot can't do that yet. Use a newer one.")
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
