import { defineConfig } from "@trigger.dev/sdk";

export default defineConfig({
  project: process.env.TRIGGER_PROJECT_REF!,
  dirs: ["./src/trigger"],
  maxDuration: 300,
  telemetry: undefined,
  processKeepAlive: true,
  retries: { enabledInDev: true, default: { maxAttempts: 1 } },
});
