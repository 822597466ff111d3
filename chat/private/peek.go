package private

import (
	"earshot/chat"
	"earshot/chat/wire"
)

// Peek opens messages of a room before their turn: what each says to people, nil where
// it can't be read now or may not be heard. shares are key shares of theirs that have
// not been received either. It changes nothing; each is Received in its turn.
func (e *Engine) Peek(room chat.RoomID, shares []wire.Entry, messages []Authored) [][]byte {
	out := make([][]byte, len(messages))
	r := e.rooms[room]
	if r == nil || !r.entered {
		return out
	}
	var heard []wire.Entry
	at := map[chat.EntryID]int{}
	for i := range messages {
		a := &messages[i]
		if !showsText(a.Entry.Kind) || a.Entry.Device != e.device && e.hides(r, *a) != "" {
			continue
		}
		at[a.Entry.ID] = i
		heard = append(heard, a.Entry)
	}
	for _, p := range e.seal.Peek(room, shares, heard) {
		out[at[p.ID]] = p.Plaintext
	}
	return out
}
