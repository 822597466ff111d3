package node

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/content"
	"earshot/chat/courier"
	"earshot/chat/identity"
	"earshot/chat/private"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/discovery"
	"earshot/node/feed"
	"earshot/node/gossip"
	"earshot/node/host"
	"earshot/node/keyring"
	"earshot/node/store"
	"earshot/node/stream"
)

// Node is one running peer. Its methods may be called concurrently.
type Node struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	lock      *keyring.Lock
	keys      keyring.Keys
	person    chat.PersonID
	device    chat.DeviceID
	store     *store.Store
	feed      *feed.Feed
	host      *host.Host    // nil while Offline
	live      *gossip.Topic // nil while Offline
	standings *standings
	doors     *doors
	names     *displayNames
	selection discovery.Selection
	sources   []discovery.Source // the loop's, once it runs

	inbox    chan func(*core)
	outbox   chan []byte        // committed entries on their way to gossip
	offers   chan chat.DeviceID // neighbours that gossip could not reach
	failed   chan chat.RoomID   // rooms whose entries the store did not take
	loopDone chan struct{}
	stopLoop func()
	ctx      context.Context // of everything the node runs
	cancel   context.CancelFunc
	wg       sync.WaitGroup // everything but the loop
	closing  sync.Once
	done     chan struct{}

	peerStreams *places // that others opened
	answering   *places // sync sessions that others asked for
	ownStreams  *places // that other devices of this person opened

	directStreams  *places // that others opened
	courierStreams *places // likewise
	openings       chan courier.Open

	notes      *notes
	reopenings *reopenings
	prekeyNow  atomic.Pointer[[]byte] // this device's, once it is stored

	adopted     atomic.Bool // this home is another person's from now on
	writeFailed atomic.Bool // the last write to the store failed
	full        atomic.Bool // the disk is, or takes nothing for another reason
	overflowed  atomic.Bool // the outbox could not take an entry
	taken       *taken      // by the store
	wanted      wanted

	settingPrivacy sync.Mutex
	settingKeeper  sync.Mutex
	settingAlerts  sync.Mutex
	carrying       sync.Mutex // one file at a time is written or read

	mu       sync.Mutex
	name     string
	networks []string
	warnings map[chat.Code]chat.Error
	quiet    map[string]quiet // what is not logged for now
	posts    map[string]*post // on their way, by client id
	stopped  bool             // no more may be spawned
	err      error
}

// Start opens the home, or makes one, and runs a node on it until Close. It
// returns when the node listens and looks for others. Errors are *chat.Error:
// CodeHomeLocked where another node holds the home, CodePassphrase, CodeHomeBroken,
// CodeHomeNewer, CodePortTaken, CodeDiskFull.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		cfg: cfg, log: cfg.Logger, started: time.Now(), standings: newStandings(), doors: newDoors(),
		inbox: make(chan func(*core), inboxSize), outbox: make(chan []byte, publishQueue),
		offers:      make(chan chat.DeviceID, 256),
		peerStreams: newPlaces(streamsEach, maxPeerStreams), answering: newPlaces(answeredEach, maxAnswered),
		ownStreams: newPlaces(streamsEach, maxOwnStreams), directStreams: newPlaces(streamsEach, maxDirectStreams),
		courierStreams: newPlaces(streamsEach, maxCourierStreams), openings: make(chan courier.Open, maxOpenings),
		failed: make(chan chat.RoomID, 64), loopDone: make(chan struct{}), done: make(chan struct{}),
		warnings: map[chat.Code]chat.Error{}, quiet: map[string]quiet{}, posts: map[string]*post{},
		reopenings: newReopenings(), taken: newTaken(), notes: newNotes(cfg.Desktop),
	}
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := n.start(ctx); err != nil {
		_ = n.Close(ctx)
		return nil, err
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	var err error
	if n.selection, err = discovery.ParseSelection(n.cfg.Interfaces); err != nil {
		return chat.Wrap(chat.CodeUsage, err, err.Error(), "")
	}
	if all, err := discovery.SystemInterfaces(); err == nil && !n.cfg.Offline {
		n.setNetworks(n.selection.Usable(all))
	}
	if n.lock, err = keyring.Acquire(n.cfg.Home); err != nil {
		return err
	}
	unlock := n.cfg.Unlock
	unlock.Name = n.cfg.Name
	if n.keys, err = keyring.Load(ctx, n.cfg.Home, unlock); err != nil {
		return err
	}
	n.person, n.device, n.name = n.keys.Cert.Person(), n.keys.Cert.Device, n.keys.Name
	if n.store, err = store.Open(ctx, n.cfg.Home, store.Options{Key: n.keys.History, Notify: unlock.Notify, Trouble: n.historyFailed, Volatile: n.cfg.Volatile}); err != nil {
		return err
	}
	newest, err := n.store.LastCursor(ctx)
	if err != nil {
		return err
	}
	n.feed = feed.New(newest)
	c, err := n.newCore(ctx)
	if err != nil {
		return err
	}
	if !n.cfg.Offline {
		if err := n.goOnline(); err != nil {
			return err
		}
	}
	news := n.feed.SubscribeTo(newest, n.Facts, alerting)
	// The loop is not in wg: it ends last, after all who speak to it.
	loopCtx, stop := context.WithCancel(context.Background())
	n.stopLoop = func() { stop(); <-n.loopDone }
	go n.loop(loopCtx, c)
	n.spawn(n.restoreFailed)
	n.spawn(n.reopenAll)
	n.spawn(n.openEnvelopes)
	n.spawn(n.passTaken)
	n.spawn(func(ctx context.Context) { n.passAlerts(ctx, news) })
	if n.cfg.Desktop != nil {
		n.spawn(n.watchDesktop)
		n.spawn(n.showNotes)
	}
	if err := n.enterKnownRooms(ctx); err != nil {
		return err
	}
	n.spawn(n.recallMissing)
	if !n.cfg.Offline {
		return n.seekNeighbours()
	}
	return nil
}

// newCore builds the loop's state from what the store holds.
func (n *Node) newCore(ctx context.Context) (*core, error) {
	devices, err := n.store.Devices(ctx)
	if err != nil {
		return nil, err
	}
	c := &core{
		n: n, now: time.Now(), people: newPeople(n.person, devices), remembered: len(devices),
		names: map[chat.RoomID]string{}, tags: map[chat.RoomTag]chat.RoomID{},
		foreign:    map[chat.LogID]struct{}{},
		neighbours: map[chat.DeviceID]*neighbour{}, quiet: map[*stream.Stream]*quietStream{}, helloed: map[chat.DeviceID]struct{}{}, typing: newTyping(),
		directs: map[chat.PersonID]chat.RoomID{}, rows: map[chat.RoomID]store.RoomChange{},
		direct: newDirect(), sessions: map[*session]struct{}{}, bases: catchup.NewBases(), supplies: supplies{}, missed: map[chat.RoomID][]chat.Missing{},
		told: map[chat.RoomID]private.Info{}, invitations: map[chat.RoomID]chat.Invitation{}, keeping: map[chat.RoomID]content.Setting{},
		book: discovery.NewBook(discovery.BookConfig{}),
	}
	n.names = c.people.names
	if c.clock, err = n.loadClock(ctx); err != nil {
		return nil, err
	}
	if c.circle, err = n.newCircle(ctx, c.people); err != nil {
		return nil, err
	}
	if err := n.loadProfiles(ctx, c); err != nil {
		return nil, err
	}
	if c.status, err = n.loadStatus(ctx, c.now); err != nil {
		return nil, err
	}
	if c.alerts, err = n.loadAlerts(ctx); err != nil {
		return nil, err
	}
	logs, err := n.store.Logs(ctx)
	if err != nil {
		return nil, err
	}
	if c.forks, err = n.loadForks(ctx, logs, c.now); err != nil {
		return nil, err
	}
	fresh := n.lock.Mark()
	if n.lock.Unclean() {
		fresh = lastOwn(logs, n.device, c.now)
		if err := n.lock.Begin(fresh); err != nil {
			return nil, err
		}
	}
	c.rooms = room.New(room.Config{
		Key: n.keys.Device, Person: n.person, Certificate: n.keys.Cert.Bytes(), Name: n.name,
		Certifier: certify,
		NewSalt: func() (salt [wire.SaltSize]byte) {
			_, _ = rand.Read(salt[:])
			return salt
		},
		Writer:     func(id chat.RoomID, who chat.PersonID) bool { return c.private.MayWrite(id, who) },
		FreshAfter: fresh,
	})
	var seed [32]byte
	_, _ = rand.Read(seed[:])
	c.catchup = catchup.New(n.device, holdings{c}, mrand.New(mrand.NewChaCha8(seed)))
	_, _ = rand.Read(seed[:])
	c.schedule = discovery.NewSchedule(c.now, host.PeerID(n.device), discovery.ScheduleConfig{MaxBackOff: maxBackOff}, mrand.New(mrand.NewChaCha8(seed)))
	moved := c.people.move(n.device, n.person)
	if c.people.meet(n.device, n.person, n.name, c.now) || moved {
		n.store.PutDevice(store.DeviceRow{Device: n.device, Person: n.person, Cert: n.keys.Cert.Bytes(), Name: n.name, LastSeen: c.now}, nil)
	}
	// Whoever runs this is at it.
	self := c.people.devices[n.device]
	self.connected, self.lastSeen = true, c.now
	early, err := n.earlyPlaces(ctx)
	if err != nil {
		return nil, err
	}
	for id, held := range byRoom(logs) {
		c.rooms.Handle(c.now, room.Restore{Room: id, Logs: held, Early: early[id], Forked: c.forks.of(id)})
		delete(early, id)
	}
	for id, places := range early {
		c.rooms.Handle(c.now, room.Restore{Room: id, Early: places})
	}
	var joining *promised
	if c.own, joining, err = n.newOwn(ctx); err != nil {
		return nil, err
	}
	c.goOnJoining(joining)
	c.setDoors()
	if c.couriers, err = n.newCouriers(ctx, c.now); err != nil {
		return nil, err
	}
	if err := c.loadPrivate(ctx); err != nil {
		return nil, err
	}
	if err := c.loadReceipts(ctx); err != nil {
		return nil, err
	}
	if err := c.loadPresence(ctx); err != nil {
		return nil, err
	}
	c.settleStatus()
	return c, nil
}

// lastOwn returns the clock by which this device has said all that it has said so
// far, unless its clock was ahead: such logs are not gone on with anyway.
func lastOwn(logs []store.LogRow, self chat.DeviceID, now time.Time) chat.HLC {
	last := chat.HLCOf(now)
	for _, l := range logs {
		if l.Device == self && l.LastHLC <= chat.HLCOf(now.Add(chat.MaxFuture)) {
			last = max(last, l.LastHLC)
		}
	}
	return last
}

// certify returns which person vouches for which device.
func certify(b []byte) (chat.PersonID, chat.DeviceID, error) {
	cert, err := identity.Parse(b)
	if err == nil {
		err = cert.Verify()
	}
	if err != nil {
		return chat.PersonID{}, chat.DeviceID{}, err
	}
	return cert.Person(), cert.Device, nil
}

func byRoom(rows []store.LogRow) map[chat.RoomID][]room.Log {
	out := map[chat.RoomID][]room.Log{}
	for _, r := range rows {
		out[r.Room] = append(out[r.Room], room.Log{
			Log: r.Log, Device: r.Device, Person: r.Person, Seq: r.LastSeq, LastID: r.LastID, HLC: r.LastHLC, Branch: (*room.Branch)(r.Branch),
		})
	}
	return out
}

// enterKnownRooms takes part in the rooms of the last run, and in the lobby.
func (n *Node) enterKnownRooms(ctx context.Context) error {
	rows, err := n.store.Rooms(ctx)
	if err != nil {
		return err
	}
	inLobby := false
	err = n.do(ctx, func(c *core) {
		for _, r := range rows {
			if c.names[r.Room] = r.Name; r.Joined && r.Kind == chat.RoomOpen {
				c.rooms.Handle(c.now, room.Enter{Room: r.Room})
				inLobby = inLobby || r.Name == chat.Lobby
			}
		}
		c.retag()
		c.loadKeeping(rows)
		for _, r := range rows {
			n.weighWanted(r.Room)
		}
		c.openChats()
		c.startPrivate()
		c.startOwn()
		c.startForks()
		c.surveyCouriers()
		c.startAlerts()
	})
	if err != nil || inLobby {
		return err
	}
	_, err = n.JoinRoom(ctx, chat.Lobby)
	return err
}

// spawn runs f in a goroutine that Close waits for. After Close has begun it does
// nothing.
func (n *Node) spawn(f func(context.Context)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.stopped {
		n.wg.Go(func() { f(n.ctx) })
	}
}

// serve runs f in the goroutine of a stream handler, which Close then waits for.
func (n *Node) serve(f func(context.Context)) {
	n.mu.Lock()
	if n.stopped {
		n.mu.Unlock()
		return
	}
	n.wg.Add(1)
	n.mu.Unlock()
	defer n.wg.Done()
	f(n.ctx)
}

// Close says goodbye to the neighbours, stores what is on its way, and ends every
// goroutine of the node. It takes about a quarter of a second, and not much longer
// than ctx allows. Only the first call does anything; the others wait for it.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Do(func() {
		defer close(n.done)
		n.sayGoodbye(ctx)
		n.mu.Lock()
		n.stopped = true
		n.mu.Unlock()
		n.cancel()
		var errs []error
		if n.host != nil {
			if n.live != nil {
				n.live.Close()
			}
			errs = append(errs, n.host.Close(ctx))
		}
		n.wg.Wait()
		if n.stopLoop != nil {
			_ = n.do(ctx, func(c *core) { c.lastReceipts(); c.storeClock() })
			n.stopLoop()
		}
		if n.store != nil {
			errs = append(errs, n.store.Close())
		}
		if n.feed != nil {
			n.feed.Close()
		}
		if n.lock != nil {
			errs = append(errs, n.lock.Release())
		}
		n.mu.Lock()
		n.err = errors.Join(errs...)
		n.mu.Unlock()
	})
	<-n.done
	return n.Err()
}

// Done is closed when the node has ended.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err returns what went wrong in Close, nil before it has ended.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// sayGoodbye tells every neighbour that this node leaves on purpose, and waits a
// moment for them to take it.
func (n *Node) sayGoodbye(ctx context.Context) {
	if n.host == nil || n.stopLoop == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	streams := make(chan []*stream.Stream, 1)
	_ = n.do(ctx, func(c *core) {
		c.leaveForGood()
		var told []*stream.Stream
		for _, nb := range c.neighbours {
			if nb.peer != nil && nb.peer.TrySend(wire.EncodeFrame(wire.Goodbye{})) {
				told = append(told, nb.peer)
			}
		}
		streams <- told
	})
	var wg sync.WaitGroup
	select {
	case told := <-streams:
		for _, s := range told {
			wg.Go(func() { _ = s.CloseSend(ctx) })
		}
	default: // the loop has no time for it
	}
	wg.Wait()
}
