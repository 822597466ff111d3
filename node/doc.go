// Package node is one running peer: it owns every goroutine, socket and byte on
// disk, feeds the engines of package chat what happens, and carries out what they
// want. It does not know what a message means, how a face looks, or how a leaf
// (host, gossip, stream, store, keyring, feed) does its work.
//
// # Goroutines
//
//	name            owner          ends when                  talks to
//	loop            Node           Close, last of all         engines; tells all others what to do
//	publisher       Node           Close                      gossip, from the outbox
//	offers          Node           Close                      loop, for gossip's own goroutine
//	peer watcher    Node           the host closes            loop
//	interfaces      Node           Close                      loop
//	source (each)   Node           Close                      loop; runs one other, while this person may be seen
//	dial (each)     Node           5 s or Close               host, then loop
//	peer stream     Node           the stream ends            loop; one per neighbour
//	own stream      Node           the stream ends            loop, store; one per other own device, one that asks, one that answers
//	live stream     Node           the stream ends            loop; one in and one out per device in a small sealed room
//	courier stream  Node           30 s of silence, or gone   store; one out per device told of envelopes, and one that waits for its end
//	courier ear     Node           the stream ends            loop; one per courier stream that others opened
//	opener          Node           Close                      loop; opens envelopes one by one
//	packer (each)   Node           the envelope is made       store, then loop
//	sync session    Node           both sides are done        loop, store; its reader and sender end with it
//	gaps            Node           all rooms are looked at    store, loop; once, at start
//	taken           Node           Close                      loop, of what the store has taken
//	restorer        Node           Close                      store, loop
//	setting (each)  Node           the loop has it            store, loop; one for each that was heard
//	reopener        Node           Close                      store, loop
//	alerts          Node           Close                      loop, of what the feed tells
//	desktop         Node           Close                      loop; two of them: who is at the machine, and notifications
//	restart         Node           Close, which it calls      nobody: this home is another person's now
//	store writer    store.Store    Store.Close, after loop    calls back into feed and outbox
//	host reporter   host.Host      Host.Close                 peer watcher
//	gossip pump     gossip.Topic   Topic.Close                loop
//
// One loop owns all state of the engines (core); everything else tells it what
// happened by handing it a function, and a function that is handed the core runs
// in the loop. The loop never waits: what takes time is done beside it.
//
// What is accepted goes to the store first; when it is committed, faces are told,
// then the network. All that comes of one event is one change, stored whole or not
// at all: entries, what was opened of them, and the keys that were spent on it. If a
// change is not stored, the engines concerned go back to what is, and the private
// engine with new keys.
package node
