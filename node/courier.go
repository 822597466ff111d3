package node

import (
	"context"

	"earshot/chat"
)

// This file carries the engine of envelopes: what is left with others for somebody who
// is away, and what is held here for others. PROTOCOL.md#couriers.

// courierHolders returns who beside the room's members holds an entry of one's own for
// those it has not reached.
func (n *Node) courierHolders(context.Context, chat.RoomID, chat.LogID, uint64) []chat.Holder {
	return nil // nothing is left with anybody yet
}

// Keeper says what this node holds for others.
func (n *Node) Keeper(context.Context) (chat.Keeper, error) { return chat.Keeper{}, notYet() }

// SetKeeper has this node hold sealed entries for its contacts, in up to space bytes
// (0 for the usual), or no longer.
func (n *Node) SetKeeper(context.Context, bool, int64) (chat.Keeper, error) {
	return chat.Keeper{}, notYet()
}
