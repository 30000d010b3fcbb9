package main

import (
	"systole/agents"
	"systole/resources"
)

// harmless tells the node which agents cannot hurt after the end of its lease,
// so that the proof of its loss need not wait for their stops: what is silenced
// by the kernel guard, and what may run on two nodes at once. All others are
// taken to be exclusive. Runs tells which agent answers for an id (agents.Registry).
func harmless(guarded bool, runs func(resources.AgentID) resources.AgentID) func(resources.AgentID) bool {
	return func(id resources.AgentID) bool {
		switch id.Type {
		case "IPaddr2": // the native one tells the guard of its addresses
			return guarded && runs(id).Provider == agents.NativeProvider
		case "Dummy", "Delay": // hold nothing
			return true
		case "nginx", "httpd", "apache": // reached through an address, which is exclusive
			return true
		case "ipvs": // the table is too; two sync masters only tell the truth twice
			return id.Provider == agents.NativeProvider
		case "realserver": // keeps quiet about its address wherever it is
			return id.Provider == agents.NativeProvider
		}
		return false
	}
}
