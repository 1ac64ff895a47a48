package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tsrun/internal/need"
)

// cluster starts three servers that keep streams together.
func cluster(t *testing.T) (servers []*server.Server, addresses string) {
	t.Helper()
	var routes []*url.URL
	var ports []int
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		l.Close()
	}
	var all []string
	for i := range 3 {
		s, err := server.NewServer(&server.Options{ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
			NoSigs: true, NoLog: true, Cluster: server.ClusterOpts{Name: "lab", Host: "127.0.0.1", Port: ports[i]}, Routes: routes})
		if err != nil {
			t.Fatal(err)
		}
		go s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers = append(servers, s)
	}
	for _, s := range servers {
		if !s.ReadyForConnections(patient) {
			t.Fatal("a server is not ready")
		}
		all = append(all, "nats://"+s.Addr().String())
	}
	until(t, "the cluster has a leader", func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 {
				return true
			}
		}
		return false
	})
	return servers, strings.Join(all, ",")
}

// TestLongClusterLosesAServer: the server that the sink is connected to ends in the middle
// of a run. Two of three keep the stream, and every block is there once.
func TestLongClusterLosesAServer(t *testing.T) {
	need.Long(t)
	servers, addresses := cluster(t)
	c := testConfig(addresses)
	c.Replicas = 3
	r := newRecorder(t, c, t.TempDir(), 7)
	r.begin()
	for range 20 {
		r.segment(100)
	}
	until(t, "messages are there", func() bool { return r.sink.pub.messages() > 10 })
	ended := 0
	for _, s := range servers {
		if ended == 0 && s.NumClients() > 0 {
			s.Shutdown()
			ended++
		}
	}
	for range 20 {
		r.segment(100)
	}
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	says := report(t, r.dir)
	if ended != 1 || says.Outages == 0 || says.Server.Replicas != 3 || says.Server.Durable {
		t.Errorf("%d servers ended, %+v", ended, says)
	}
	if n := stored(t, addresses, r.run.String()); n != 2*40+2 {
		t.Errorf("%d messages are stored", n)
	}
	sameFiles(t, addresses, r.run.String(), r.files)
}
