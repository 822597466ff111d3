package receipt

import "earshot/chat"

// Statements also reach whom this device does not meet, in a letter that somebody else
// brings, sealed for the room.

// Write asks for a letter to a person in a room: what this device holds and has read
// there by now.
type Write struct {
	Room chat.RoomID
	To   chat.PersonID
}

// Letter is what somebody in a room has written so. Nobody is blamed for it.
type Letter struct {
	Room       chat.RoomID
	Statements []Statement
}

func (Write) isInput()  {}
func (Letter) isInput() {}

// Written answers Write, with no statements where there is nothing that To may know.
type Written struct {
	Room       chat.RoomID
	Statements []Statement
}

func (Written) isEffect() {}

// write makes what is unsaid said, and a letter of it.
func (e *Engine) write(in Write) {
	r := e.room(in.Room)
	if e.cfg.World.HeldKind(in.Room).Known() {
		r.sayAt = e.now
		e.say(r)
		if r.unsaid[Held] { // nobody near hears it
			delete(r.unsaid, Held)
			e.state(r, Held)
			e.settle(r)
		}
	}
	out := Written{Room: in.Room}
	to := &neighbour{person: in.To}
	for _, k := range kinds {
		if s := r.slots[key{e.self, k}]; s != nil && e.may(s, to) {
			out.Statements = append(out.Statements, s.Statement)
		}
	}
	e.emit(out)
}

// letter takes statements as from the device that has made each of them: who sealed them
// knows the room.
func (e *Engine) letter(in Letter) {
	r := e.room(in.Room)
	for i := range in.Statements {
		s := &in.Statements[i]
		who, known := e.cfg.World.Person(s.Device)
		if !known || s.Device == e.self {
			continue
		}
		fresh, err := e.take(r, &neighbour{person: who}, s)
		if err != nil || fresh == nil {
			continue
		}
		for _, d := range e.neighbours(r.id) {
			if other := e.near[d]; d != s.Device && e.may(fresh, other) {
				e.mayLack(other, r.id)
			}
		}
	}
}
