"""The desktop application, told in the order in which it starts.

1. `sparkdesk.verbs.run` asks `window.run_window` for a window. It imports Qt and our own paint only, shows the shell
   and lets it paint: that is the first frame.
2. Then the event loop starts (qasync: asyncio and Qt in one thread) and `stack.Stack` builds what works without a
   face: store, SSH, inventory, telemetry, runner, launcher, chats.
3. The window gets its pages; each is made when it is first visited.
4. With `--simulated`, or at the third card of the first-run page, a child process simulates four Sparks; from then on
   they are nodes like others.
5. Closing the window, or a signal, ends the root task: answers are stopped and kept, forwards and connections closed,
   the child ended (`stack.Stack.close`), and then the loop (`loop.run_in_loop`). Jobs on nodes go on.

What nobody expected is caught in `fault`, reported, and stops nothing.
"""
