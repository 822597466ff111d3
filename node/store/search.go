package store

import (
	"context"
	"strconv"
	"strings"
	"unicode"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// Bounds of a query: more words only narrow what few already found (guess).
const (
	maxQuery = 512 // bytes
	maxWords = 16
)

// Search returns messages that hold every word of query, newest stored first. The
// last word may be the start of one; case and accents do not matter; Chinese,
// Japanese and Korean are found by any run of characters. room narrows it to one
// room unless nil. limit as in MessageQuery. A query without words finds nothing.
func (s *Store) Search(ctx context.Context, query string, room *chat.RoomID, limit int) ([]chat.Message, error) {
	match := matchWords(query)
	if match == "" {
		return nil, nil
	}
	if err := s.indexAll(ctx); err != nil {
		return nil, err
	}
	var hits []chat.Message
	err := s.read(ctx, func(c *conn) error {
		match := match
		if room != nil {
			key, found, err := c.roomKey(*room)
			if err != nil || !found {
				return err
			}
			match = `room : "` + roomToken(key) + `" AND ` + match
		}
		return c.query(func(stmt *sqlite3.Stmt) error {
			m, err := scanMessage(stmt)
			hits = append(hits, m)
			return err
		}, strings.Replace(selectMessage, "FROM message m", "FROM message_text t CROSS JOIN message m ON m.cursor = t.rowid", 1)+
			`WHERE message_text MATCH ? AND m.gone = 0 AND m.expired = 0 ORDER BY t.rowid DESC LIMIT ?`, match, pageSize(limit))
	})
	if err != nil {
		return nil, err
	}
	return hits, nil
}

// indexAll has the writer add to the index what is stored and not in it yet.
func (s *Store) indexAll(ctx context.Context) error {
	if s.w.upkeep.unindexed.Load() == 0 {
		return nil
	}
	return wrap(s.dir, s.bare(ctx, (*writer).index))
}

// wordRune reports whether r can be searched for.
func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// matchWords turns a person's words into an FTS5 expression. Each word becomes a
// quoted string, so that nothing in it is syntax; "" if there is no word.
func matchWords(query string) string {
	query = strings.ToValidUTF8(query[:min(len(query), maxQuery)], "")
	var words []string
	for _, word := range strings.FieldsFunc(query, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		if strings.IndexFunc(word, wordRune) >= 0 && len(words) < maxWords {
			words = append(words, `"`+strings.ReplaceAll(strings.TrimSpace(spaced(word)), `"`, `""`)+`"`)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return `text : (` + strings.Join(words, " AND ") + ` *)`
}

// spaced puts spaces round characters of scripts that are written without spaces
// between words, so that each is a token and a word of them a phrase.
func spaced(s string) string {
	if strings.IndexFunc(s, unspaced) < 0 {
		return s
	}
	var sb strings.Builder
	sb.Grow(2 * len(s))
	for _, r := range s {
		if unspaced(r) {
			sb.WriteByte(' ')
			sb.WriteRune(r)
			sb.WriteByte(' ')
			continue
		}
		sb.WriteRune(r)
	}
	return sb.String()
}

func unspaced(r rune) bool {
	return r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

// roomToken is the word under which a room's messages are indexed.
func roomToken(key int64) string { return "r" + strconv.FormatInt(key, 10) }
