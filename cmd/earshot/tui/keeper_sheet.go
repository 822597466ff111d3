package tui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
)

// This file is what the user's node does for people who are away.

// keeperSpaces are what a keeper is offered to give, in bytes; any other can be set on the
// command line.
var keeperSpaces = []int64{256 << 20, 1 << 30, 8 << 30}

// openKeeper shows what this node holds for others, and lets it hold more or less.
func (m *model) openKeeper() tea.Cmd {
	known := false
	p := &sheet{title: "For people who are away"}
	take := func(k chat.Keeper) { m.keeper, known = k, true }
	set := func(on bool, space int64) func(*sheet) tea.Cmd {
		return func(q *sheet) tea.Cmd {
			var now chat.Keeper
			return m.act(q, func(ctx context.Context) (err error) {
				now, err = m.client.SetKeeper(ctx, on, space)
				return err
			}, func() tea.Cmd {
				take(now)
				m.drop(q)
				return nil
			})
		}
	}
	p.build = func() content {
		c := content{text: []para{
			plain("What you write to somebody who is away waits here and, sealed, with people you know; it arrives when any of these meets them, even if you have gone. Who holds it can't read it."), plain(""),
		}}
		if !known {
			return content{text: append(c.text, plain("Asking the node"+m.glyphs.pending))}
		}
		k := m.keeper
		held := "It holds nothing for others now."
		if k.Held > 0 {
			held = fmt.Sprintf("It holds %s for others now, %s.", wording.Count(k.Held, "sealed message"), wording.Size(k.Used))
		}
		if k.On {
			c.text = append(c.text, strong("This node is a keeper, and gives up to "+wording.Size(k.Space)+" to that."), plain(held))
			c.items = append(c.items, item{id: "off", key: "o", label: "Be a keeper no longer" + m.glyphs.pending, do: func() tea.Cmd {
				m.question("Be a keeper no longer?", "This node takes no more for your contacts than any device does, and lets go of what is over that. Whoever sent it still has it.", "be a keeper no longer", set(false, 0))
				return nil
			}})
			return c
		}
		c.text = append(c.text, plain("This node is no keeper: it holds a little all the same. "+held), plain(""),
			plain("A keeper holds what all of your contacts bring, and is of most use on a machine that is always on."))
		for _, space := range keeperSpaces {
			words := wording.Size(space)
			c.items = append(c.items, item{id: words, label: "Be a keeper, with up to " + words + m.glyphs.pending, do: func() tea.Cmd {
				m.question("Be a keeper?", "This node may fill up to "+words+" of the disk with sealed messages for others, which your contacts bring. It can't read them. Your contacts see that it is a keeper.", "be a keeper", set(true, space))
				return nil
			}})
		}
		return c
	}
	m.push(p)
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		k, err := m.client.Keeper(ctx)
		return didMsg{p, err, func() tea.Cmd {
			take(k)
			m.sheetTop(p)
			return nil
		}}
	})
}
