package realtime

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// What to do about what was refused. A capability of the file of tsrun (setcap)
// does not help: plugins are confined, and a confined program gets none.

const limitsAgain = ", and log in anew"

func priorityRemedy(error) string {
	if privileged(unix.CAP_SYS_NICE) {
		return "this control group has no real-time budget: write one into its cpu.rt_runtime_us, or start tsrun outside of the container"
	}
	return fmt.Sprintf("/etc/security/limits.d/tsrun.conf: `%s - rtprio 99`%s; in a service of systemd: LimitRTPRIO=99", userName(), limitsAgain)
}

func memoryRemedy(error) string {
	return fmt.Sprintf("/etc/security/limits.d/tsrun.conf: `%s - memlock unlimited`%s; in a service of systemd: LimitMEMLOCK=infinity", userName(), limitsAgain)
}

func coreRemedy(error) string {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return "name cores that this process may use (taskset, cpuset of the control group)"
	}
	var allowed []int
	for c := range len(set) * 64 {
		if set.IsSet(c) {
			allowed = append(allowed, c)
		}
	}
	return "this process may use " + words(allowed) + "; others are kept from it by taskset or by the cpuset of its control group"
}

func latencyRemedy(err error) string {
	if os.IsNotExist(err) {
		return "this kernel has no /dev/cpu_dma_latency; leave dma_latency out"
	}
	return "a udev rule lets a group use it: KERNEL==\"cpu_dma_latency\", GROUP=\"realtime\", MODE=\"0660\"; with the user in that group"
}

func pollRemedy(err error) string {
	if errors.Is(err, unix.ENOPROTOOPT) {
		return "this kernel was built without busy polling (CONFIG_NET_RX_BUSY_POLL); leave busy_poll out"
	}
	return "allow as much to everybody: sysctl net.core.busy_read=MICROSECONDS; in a service of systemd: AmbientCapabilities=CAP_NET_ADMIN, and the same in CapabilityBoundingSet="
}

// privileged tells whether this process has a capability.
func privileged(capability uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[capability/32].Effective&(1<<(capability%32)) != 0
}

// userName is what a line of limits.conf calls the user of this process.
func userName() string {
	if name := os.Getenv("USER"); name != "" && !strings.ContainsAny(name, " \t\n#") {
		return name
	}
	return "USER"
}
