package sim

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node"
	"earshot/node/api"
)

var crowd = flag.Int("sim.crowd", 15, "how many nodes are split into three; 100 take minutes")

// A split network goes on in its parts, and when it is one again, everybody holds
// what was said in each of them, once and in one order.
func TestACrowdSplitIntoThreeHeals(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, *crowd)
	for i := range c.nodes {
		c.say(i, "together")
	}
	c.lap("all are there")
	c.everybodyHolds(c.all())
	c.lap("all hold what was said together")

	parts := c.split(3)
	for i := range c.nodes {
		c.say(i, "apart")
	}
	for _, part := range parts {
		c.everybodyHolds(part)
	}
	c.lap("the parts hold what was said in them")
	c.awaitApart(parts)
	for i := range c.nodes {
		c.say(i, "when all others are gone")
	}
	for _, part := range parts {
		c.everybodyHolds(part)
	}
	c.lap("nobody reckons with the others any more")

	c.net.Heal()
	c.everybodyHolds(c.all())
	c.lap("healed")
	c.oneOrder()
}

// throng is many nodes, and what each of them was told.
type throng struct {
	t     *testing.T
	ctx   context.Context
	net   *Net
	nodes []*member
	said  []saidBy
	began time.Time
}

// member is one of them.
type member struct {
	*node.Node
	addr netip.Addr
	part int

	mu    sync.Mutex
	heard map[chat.EntryID]int // how often each message was told
	gone  map[chat.PersonID]bool
	bell  chan struct{} // capacity 1
}

type saidBy struct {
	id   chat.EntryID
	part int // in which it was said, -1 for all
}

func newCrowd(t *testing.T, n int) *throng {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience+time.Duration(n)*20*time.Second)
	o := NewOffice(t.TempDir(), nil)
	c := &throng{t: t, ctx: ctx, net: o.Net, began: time.Now()}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		defer cancel()
		if err := o.Close(ctx); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	for i := range n {
		entered, err := o.Enter(ctx, fmt.Sprint("person ", i))
		if err != nil {
			t.Fatal(err)
		}
		m := &member{Node: entered, addr: netip.MustParseAddr(fmt.Sprintf("10.9.%d.%d", (i+1)/250, (i+1)%250+1)), part: -1, heard: map[chat.EntryID]int{}, gone: map[chat.PersonID]bool{}, bell: make(chan struct{}, 1)}
		c.nodes = append(c.nodes, m)
		wg.Go(func() { m.listen(ctx) })
	}
	return c
}

// listen notes what the node tells its faces until it stops.
func (m *member) listen(ctx context.Context) {
	sub := m.Feed().Subscribe(0, m.Facts)
	defer sub.Close()
	for {
		batch, err := sub.Next(ctx)
		if err != nil {
			return
		}
		m.mu.Lock()
		for _, e := range batch {
			switch e := e.(type) {
			case chat.MessageEvent:
				m.heard[e.ID]++
			case chat.PersonEvent:
				m.gone[e.Person.Person] = e.Presence == chat.Gone
			}
		}
		m.mu.Unlock()
		select {
		case m.bell <- struct{}{}:
		default:
		}
	}
}

func (c *throng) lap(what string) {
	c.t.Helper()
	c.t.Logf("%d nodes: %s after %v", len(c.nodes), what, time.Since(c.began).Round(10*time.Millisecond))
	c.began = time.Now()
}

func (c *throng) all() []*member { return c.nodes }

func (c *throng) say(i int, what string) {
	c.t.Helper()
	m, err := c.nodes[i].Send(c.ctx, lobby, chat.Draft{Text: fmt.Sprintf("%s, %d", what, i)})
	if err != nil {
		c.t.Fatal(err)
	}
	c.said = append(c.said, saidBy{m.ID, c.nodes[i].part})
}

// split cuts the network into parts, and returns them.
func (c *throng) split(n int) [][]*member {
	parts, addrs := make([][]*member, n), make([][]netip.Addr, n)
	for i, m := range c.nodes {
		m.part = i % n
		parts[m.part] = append(parts[m.part], m)
		addrs[m.part] = append(addrs[m.part], m.addr)
	}
	for i := range addrs {
		for _, other := range addrs[i+1:] {
			c.net.Cut(addrs[i], other)
		}
	}
	return parts
}

// awaitApart waits until everybody has noticed that the other parts are gone.
func (c *throng) awaitApart(parts [][]*member) {
	c.t.Helper()
	for i, part := range parts {
		var others []chat.PersonID
		for j, other := range parts {
			for _, m := range other {
				if me, err := m.Me(c.ctx); err == nil && i != j {
					others = append(others, me.Person)
				}
			}
		}
		for _, m := range part {
			c.await(m, "that the others are gone", func() bool {
				return !slices.ContainsFunc(others, func(p chat.PersonID) bool { return !m.gone[p] })
			})
		}
	}
}

// everybodyHolds waits until some have been told all that was said to them.
func (c *throng) everybodyHolds(some []*member) {
	c.t.Helper()
	for _, m := range some {
		c.await(m, "all that was said", func() bool {
			return !slices.ContainsFunc(c.said, func(s saidBy) bool {
				reaches := s.part < 0 || s.part == m.part || len(some) == len(c.nodes)
				return reaches && m.heard[s.id] == 0
			})
		})
	}
}

// await waits until a member knows something; ok is called with its lock held.
func (c *throng) await(m *member, what string, ok func() bool) {
	c.t.Helper()
	for {
		m.mu.Lock()
		done := ok()
		m.mu.Unlock()
		if done {
			return
		}
		select {
		case <-m.bell:
		case <-c.ctx.Done():
			c.t.Fatalf("%s never knew %s", m.Name(), what)
		}
	}
}

// oneOrder fails the test unless everybody shows everything once and in one order.
func (c *throng) oneOrder() {
	c.t.Helper()
	var first []chat.EntryID
	for _, m := range c.nodes {
		m.mu.Lock()
		for id, n := range m.heard {
			if n != 1 {
				c.t.Errorf("%s was told %s %d times", m.Name(), id.Short(), n)
			}
		}
		m.mu.Unlock()
		var order []chat.EntryID
		for page := (api.Page{Limit: api.MaxPage}); ; {
			messages, err := m.Messages(c.ctx, lobby, page)
			if err != nil {
				c.t.Fatal(err)
			}
			if len(messages) == 0 {
				break
			}
			var ids []chat.EntryID
			for i := range messages {
				ids = append(ids, messages[i].ID)
			}
			order = append(ids, order...)
			page.Before = ids[0]
		}
		if first == nil {
			first = order
		}
		if len(order) != len(c.said) || !slices.Equal(order, first) {
			c.t.Errorf("%s shows %d messages of %d, or in another order than %s", m.Name(), len(order), len(c.said), c.nodes[0].Name())
		}
	}
}
