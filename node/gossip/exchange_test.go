package gossip

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	"google.golang.org/protobuf/proto"
)

// plainHost is a libp2p host on loopback that a test drives by hand.
func plainHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrs(libp2pAddr), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// A peer that prunes us may name others to go to. gossipsub would dial them, so
// anyone could send us anywhere; we do not.
func TestPeerExchangeIsIgnored(t *testing.T) {
	n, attacker, target := newNode(t, nil), plainHost(t), plainHost(t)
	visited := make(chan struct{}, 1)
	target.Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) {
		visited <- struct{}{}
	}})
	rec := peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: target.ID(), Addrs: target.Addrs()})
	envelope, err := record.Seal(rec, target.Peerstore().PrivKey(target.ID()))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}

	attacker.SetStreamHandler(pubsub.GossipSubID_v11, func(network.Stream) {})
	if err := attacker.Connect(t.Context(), peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	s, err := attacker.NewStream(t.Context(), n.host.ID(), pubsub.GossipSubID_v11)
	if err != nil {
		t.Fatal(err)
	}
	topic, yes := topicName, true
	send := func(rpc *pb.RPC) {
		b, err := proto.Marshal(rpc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...)); err != nil {
			t.Fatal(err)
		}
	}
	send(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Subscribe: &yes, Topicid: &topic}}})
	backoff := uint64(60)
	send(&pb.RPC{Control: &pb.ControlMessage{Prune: []*pb.ControlPrune{{
		TopicID: &topic, Backoff: &backoff,
		Peers: []*pb.PeerInfo{{PeerID: []byte(target.ID()), SignedPeerRecord: signed}},
	}}}})
	// What comes after the PRUNE was handled after it.
	send(&pb.RPC{Publish: []*pb.Message{{Topic: &topic, Data: message(1)}}})
	n.await(t, "the message after the PRUNE", func(h []uint64) bool { return len(h) == 1 })
	select {
	case <-visited:
		t.Fatal("a stranger's PRUNE made us dial an address of its choice")
	case <-time.After(300 * time.Millisecond): // a dial on loopback takes one
	}
}
