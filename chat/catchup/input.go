package catchup

import (
	"earshot/chat"
	"earshot/chat/wire"
)

// Input is what the engine is told. A sealed union.
type Input interface{ isInput() }

// Effect is what the engine wants done. A sealed union.
type Effect interface{ isEffect() }

// PeerUp: a neighbour can be talked to.
type PeerUp struct{ Device chat.DeviceID }

// PeerDown: it can no longer.
type PeerDown struct{ Device chat.DeviceID }

// Heard: a neighbour said what it holds.
type Heard struct {
	Device chat.DeviceID
	Have   wire.Have
}

// Gap: something is missing here that the neighbour seems to have. It comes when
// what showed the gap waits.
type Gap struct{ Device chat.DeviceID }

// Lost: the live path had to drop something on its way to the neighbour.
type Lost struct{ Device chat.DeviceID }

// Joined: the node entered a room, or shares one with more neighbours, and they may
// hold everything of it.
type Joined struct{}

// Begun: a session that the neighbour asked for has started.
type Begun struct{ Device chat.DeviceID }

// Ended: a session with the neighbour is over, whoever had asked. It comes before
// that neighbour's PeerDown, once for each Open and Begun.
type Ended struct {
	Device   chat.DeviceID
	Asked    bool // by this node
	Received int  // entries that were new here
	Sent     int  // entries that the neighbour lacked
	Declined bool // what it had was left to another session
	Failed   bool
}

// Tick: time has passed; due when NextTick says so.
type Tick struct{}

func (PeerUp) isInput()   {}
func (PeerDown) isInput() {}
func (Heard) isInput()    {}
func (Gap) isInput()      {}
func (Lost) isInput()     {}
func (Joined) isInput()   {}
func (Begun) isInput()    {}
func (Ended) isInput()    {}
func (Tick) isInput()     {}

// Tell says: send the neighbour this summary.
type Tell struct {
	Device chat.DeviceID
	Have   wire.Have
}

// Open says: start a session with the neighbour.
type Open struct{ Device chat.DeviceID }

func (Tell) isEffect() {}
func (Open) isEffect() {}
