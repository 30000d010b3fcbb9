// Package sim runs whole clusters in virtual time and tries to break them.
//
// Each machine is a complete crm/node: raft behind its gate, leases, controller,
// scheduler, executor. Only what surrounds it is virtual: the network (fabric), the
// disk (store.Memory), agents and fencing devices, a kernel guard, and the wire, which
// records who answers for an address. Machines have clocks of their own rate.
//
// A seed draws the size of the cluster, with or without fencing, and a mix of faults.
// In the first phase only safety is required, at every step (check.go):
//
//   - a resource is active on one machine at most;
//   - nothing starts while an earlier holder may still be heard: it has stopped, its
//     machine is off, or its kernel guard has fallen;
//   - one DC lease at a time;
//   - what was acknowledged is read ever after (linearizable, by porcupine);
//   - equal index, equal CIB;
//   - a node without a lease has stopped everything in time.
//
// Then everything is healed and the cluster must converge.
//
// make sim runs 300 seeds; make sim-mutants breaks rules of the product on purpose
// (build tag mutants), and each break must be noticed.
package sim
