// Command tc-miscounts is a driver that is made without the SDK, for tests. It
// delivers ten tags of each channel, and what it says of them is not what its
// blocks say.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-zeromq/zmq4"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	name   = "tc-miscounts"
	schema = `{"type":"object","additionalProperties":false,"properties":{"says":{"enum":["more","lost","stranger","strange count"]}}}`
)

func main() {
	if len(os.Args) > 1 { // --describe
		_ = json.NewEncoder(os.Stdout).Encode(sdk.Description{Name: name, Version: "1", Summary: "Miscounts.",
			Drivers: []sdk.Offer{{Name: name, Schema: json.RawMessage(schema), Defaults: json.RawMessage(`{}`)}}})
		return
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: sdk.CookieKey, MagicCookieValue: sdk.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{1: {"tsrun": services{}}},
		GRPCServer:       goplugin.DefaultGRPCServer,
	})
}

type services struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (services) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	pluginpb.RegisterPluginServer(g, plugin{})
	pluginpb.RegisterDriverServer(g, &driver{events: make(chan *pluginpb.DriverEvent, 9)})
	return nil
}

func (services) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no client")
}

type plugin struct {
	pluginpb.UnimplementedPluginServer
}

func (plugin) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	return &pluginpb.DescribeResponse{Name: name, Version: "1", Drivers: []*pluginpb.Offer{{Name: name, Schema: []byte(schema), Defaults: []byte(`{}`)}}}, nil
}

func (plugin) Lease(_ *pluginpb.LeaseRequest, beats grpc.ServerStreamingServer[pluginpb.LeaseBeat]) error {
	for beats.Context().Err() == nil {
		if err := beats.Send(&pluginpb.LeaseBeat{}); err != nil {
			break
		}
		time.Sleep(300 * time.Millisecond)
	}
	os.Exit(0)
	return nil
}

type driver struct {
	pluginpb.UnimplementedDriverServer
	says   string
	asked  *pluginpb.ArmRequest
	conn   *zmtp.Conn
	events chan *pluginpb.DriverEvent
}

func (d *driver) Configure(_ context.Context, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	var config struct{ Says string }
	err := json.Unmarshal(r.Config, &config)
	d.says = config.Says
	return &pluginpb.ConfigureResponse{Device: &pluginpb.Device{Model: "miscounts", Inputs: []*pluginpb.Input{{Number: 1}},
		Can: &pluginpb.Capabilities{ScheduledStart: true}}}, err
}

func (d *driver) Arm(ctx context.Context, r *pluginpb.ArmRequest) (_ *pluginpb.ArmResponse, err error) {
	d.asked = r
	d.conn, err = zmtp.Dial(ctx, "unix", strings.TrimPrefix(r.Endpoint, "ipc://"), zmq4.Push)
	return &pluginpb.ArmResponse{}, err
}

func (d *driver) Start(_ context.Context, r *pluginpb.StartRequest) (*pluginpb.StartResponse, error) {
	go func() {
		time.Sleep(time.Until(time.Unix(0, r.AtUnixNs)))
		ended := &pluginpb.Ended{}
		for _, c := range d.asked.Channels {
			count := &pluginpb.StreamCount{Stream: c.Stream, Tags: 10, FirstPs: 1, LastPs: 10, UntilPs: uint64(d.asked.DurationNs) * 1000}
			switch d.says {
			case "more":
				count.Tags = 17
			case "lost":
				count.Lost = 7
			case "stranger":
				d.events <- &pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Lost{Lost: &pluginpb.Loss{Stream: 99, Tags: 1, Why: "strange"}}}
			case "strange count":
				count.Stream += 1 << 16
			}
			ended.Streams = append(ended.Streams, count)
			if err := d.deliver(uint16(c.Stream), count.UntilPs); err != nil {
				ended.Failure = &pluginpb.Failure{Code: "send", Message: err.Error()}
			}
		}
		d.events <- &pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Ended{Ended: ended}}
	}()
	return &pluginpb.StartResponse{}, nil
}

// deliver sends a block of ten tags and the end of the stream.
func (d *driver) deliver(stream uint16, until uint64) error {
	tags := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for seq, b := range []tag.Block{{Kind: tag.Data, Until: 10, Tags: tags}, {Kind: tag.End, Until: until}} {
		b.Run, b.Stream, b.Seq = tag.RunID(d.asked.Run), stream, uint64(seq)
		header := make([]byte, tag.HeaderSize)
		b.EncodeHeader(header)
		if err := d.conn.Send(time.Second, header, tag.AppendTags(nil, b.Tags)); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	return nil
}

func (d *driver) Watch(_ *pluginpb.WatchRequest, out grpc.ServerStreamingServer[pluginpb.DriverEvent]) error {
	for {
		select {
		case e := <-d.events:
			if err := out.Send(e); err != nil {
				return err
			}
		case <-out.Context().Done():
			return nil
		}
	}
}

func (d *driver) Stop(context.Context, *pluginpb.StopRequest) (*pluginpb.StopResponse, error) {
	return &pluginpb.StopResponse{}, nil
}

func (d *driver) Close(context.Context, *pluginpb.CloseRequest) (*pluginpb.CloseResponse, error) {
	return &pluginpb.CloseResponse{}, nil
}
