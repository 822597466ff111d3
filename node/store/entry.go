package store

import (
	"context"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/wire"
)

// Entry returns an entry of a room by its place; false if it is not here.
func (s *Store) Entry(ctx context.Context, room chat.RoomID, at EntryPlace) (e wire.Entry, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		key, known, err := c.roomKey(room)
		if err != nil || !known {
			return err
		}
		found, err = c.queryRow(func(stmt *sqlite3.Stmt) error {
			e, _, err = scanEntry(stmt, 0)
			e.Log = at.Log
			return err
		}, `SELECT e.head, e.sig, e.payload FROM log l CROSS JOIN entry e ON e.log = l.id WHERE l.room = ? AND l.log = ? AND e.seq = ?`,
			key, at.Log[:], at.Seq)
		return err
	})
	return e, found && err == nil, err
}
