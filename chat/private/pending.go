package private

import (
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/seal"
)

type (
	person       struct{}
	device       struct{}
	peer         struct{}
	conversation struct{}
	offer        struct{}
)

var errPending = chat.Errorf(chat.CodeInternal, "This version of Earshot can't do that yet. Update it, then try again.")

func (e *Engine) restore(map[string][]byte) error { return nil }
func (e *Engine) start()                          {}
func (e *Engine) tick()                           {}
func (e *Engine) rename(Rename)                   {}
func (e *Engine) openDirect(OpenDirect)           {}
func (e *Engine) closeDirect(CloseDirect)         {}
func (e *Engine) found(in Found)                  { e.deny(in.Ref, errPending) }
func (e *Engine) change(in Change)                { e.deny(in.Ref, errPending) }
func (e *Engine) accept(in Accept)                { e.deny(in.Ref, errPending) }
func (e *Engine) decline(in Decline)              { e.deny(in.Ref, errPending) }
func (e *Engine) say(in Say)                      { e.deny(in.Ref, errPending) }
func (e *Engine) receive(chat.RoomID, Authored)   {}
func (e *Engine) meet(Met)                        {}
func (e *Engine) heard(Heard)                     {}

func (e *Engine) takeList(identity.DeviceList, chat.DeviceID) {}

// NextTick returns when Tick is due next, zero before Start.
func (e *Engine) NextTick() time.Time { return time.Time{} }

// Info returns what there is to show of a room; false for one that is not known.
func (e *Engine) Info(room chat.RoomID) (Info, bool) { return Info{}, false }

// Infos returns the same of all rooms, ascending by room.
func (e *Engine) Infos() []Info { return nil }

// Shares reports whether a sealed room may be named to a device, and what its logs
// hold given to it: to its members' and one's own devices, unless they are revoked.
func (e *Engine) Shares(room chat.RoomID, device chat.DeviceID) bool { return false }

// MayWrite reports whether a person is, or ever was, in a sealed room, so that logs of
// theirs belong there.
func (e *Engine) MayWrite(room chat.RoomID, who chat.PersonID) bool { return false }

// Prekey returns this device's prekey for its Hello, nil before Start.
func (e *Engine) Prekey() []byte { return nil }

// InUse returns the devices that a person uses, as far as is known, ascending: those
// of their newest device list, or, while they have none, those that were met.
func (e *Engine) InUse(who chat.PersonID) []chat.DeviceID { return nil }

// List returns the device list of a person that counts; false if none is known.
func (e *Engine) List(who chat.PersonID) (identity.DeviceList, bool) {
	return identity.DeviceList{}, false
}

// PersonOf returns whose a device is; false for one that is not known.
func (e *Engine) PersonOf(device chat.DeviceID) (chat.PersonID, bool) { return chat.PersonID{}, false }

var _ *seal.Engine
