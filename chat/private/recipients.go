package private

import "earshot/chat"

// InSince returns who beside this person is in a sealed room and was by the clock of
// at: whom what was said then is for, as far as can be told now.
func (e *Engine) InSince(room chat.RoomID, at chat.HLC) (out []chat.PersonID) {
	r := e.rooms[room]
	switch {
	case r == nil:
		return nil
	case r.direct():
		return []chat.PersonID{r.with}
	}
	for _, m := range r.log.State().Members {
		if op, ok := r.log.Op(m.Since); m.Person != r.me && ok && op.HLC <= at {
			out = append(out, m.Person)
		}
	}
	return out
}
