package node

import (
	"earshot/chat"
	"earshot/chat/receipt"
)

// This file carries the engine of message states: what it is told, and what it wants.

// receipts is what the loop knows of how far others hold and have read sealed rooms.
type receipts struct {
	engine *receipt.Engine
}

// holds returns up to which entry a device has said that it holds a log, 0 if nothing
// is known.
func (r *receipts) holds(room chat.RoomID, device chat.DeviceID, log chat.LogID) uint64 {
	if r == nil {
		return 0
	}
	return r.engine.Holds(room, device, log)
}
