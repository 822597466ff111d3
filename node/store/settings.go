package store

import (
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/content"
)

// This file keeps how long things are kept.

// addSetting stores what was said about how long things are kept in a direct chat.
func (w *writer) addSetting(n *note) error {
	s := *n.c.Setting
	s.At = n.at
	if err := w.putSetting(n.room, s); err != nil {
		return err
	}
	if err := w.exec(`DELETE FROM setting WHERE room = ?1 AND (hlc, log, seq) <= (
		SELECT hlc, log, seq FROM setting WHERE room = ?1 ORDER BY hlc DESC, log DESC, seq DESC LIMIT 1 OFFSET ?2)`,
		n.room.key, chat.MaxSettings); err != nil {
		return err
	}
	list, err := w.settings(n.room)
	if err != nil {
		return err
	}
	return w.keepFor(n.room, content.Current(list))
}

func (w *writer) putSetting(room *roomState, s content.Setting) error {
	return w.exec(`INSERT OR IGNORE INTO setting (room, hlc, log, seq, disappear, keep) VALUES (?, ?, ?, ?, ?, ?)`,
		room.key, uint64(s.At.HLC), s.At.Log[:], s.At.Seq, int64(s.Disappear/time.Second), int64(s.Keep/time.Second))
}

func (w *writer) keepFor(room *roomState, s content.Setting) error {
	room.keep = s.Keep
	return w.exec(`UPDATE room SET disappear = ?, keep = ? WHERE id = ?`, int64(s.Disappear/time.Second), int64(s.Keep/time.Second), room.key)
}

func (w *writer) settings(room *roomState) (out []content.Setting, err error) {
	return out, w.query(func(s *sqlite3.Stmt) error {
		v := content.Setting{
			At:        content.Place{HLC: chat.HLC(s.ColumnInt64(0)), Seq: uint64(s.ColumnInt64(2))},
			Disappear: time.Duration(s.ColumnInt64(3)) * time.Second, Keep: time.Duration(s.ColumnInt64(4)) * time.Second,
		}
		err := fixed(v.At.Log[:], s.ColumnRawBlob(1))
		out = append(out, v)
		return err
	}, `SELECT hlc, log, seq, disappear, keep FROM setting WHERE room = ? ORDER BY hlc, log, seq`, room.key)
}

// maxRejudged bounds the removals that are looked at anew when it has changed who
// might remove what others say (guess: nobody waits for so many).
const maxRejudged = 4096

// putRules stores what the membership of a private room says. Removals that had no
// effect may have one now.
func (w *writer) putRules(r *Rules) error {
	room, err := w.room(r.Room)
	if err != nil {
		return err
	}
	for _, table := range []string{"setting", "tenure"} {
		if err := w.exec(`DELETE FROM `+table+` WHERE room = ?`, room.key); err != nil {
			return err
		}
	}
	for _, s := range r.Settings {
		if err := w.putSetting(room, s); err != nil {
			return err
		}
	}
	for _, t := range r.Tenures {
		if err := w.exec(`INSERT OR REPLACE INTO tenure (room, person, since, until) VALUES (?, ?, ?, ?)`,
			room.key, t.Person[:], uint64(t.From), uint64(t.Until)); err != nil {
			return err
		}
	}
	if err := w.keepFor(room, r.Setting); err != nil {
		return err
	}
	var targets []chat.EntryID
	if err := w.query(func(s *sqlite3.Stmt) error {
		var id chat.EntryID
		err := fixed(id[:], s.ColumnRawBlob(0))
		targets = append(targets, id)
		return err
	}, `SELECT DISTINCT r.target FROM removal r WHERE r.room = ?1 AND NOT EXISTS (SELECT 1 FROM message m
		WHERE substr(m.entry, 1, 8) = substr(r.target, 1, 8) AND m.entry = r.target AND m.room = ?1 AND m.gone + m.expired > 0) LIMIT ?2`,
		room.key, maxRejudged); err != nil {
		return err
	}
	for _, id := range targets {
		if err := w.refold(room, id); err != nil {
			return err
		}
	}
	return nil
}
