FROM node:24.14.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json build.mjs ./
COPY scripts/bundle.mjs scripts/dashboard.mjs scripts/undici.mjs ./scripts/
COPY dashboard ./dashboard
COPY src ./src
RUN npm run build -- --program && find dist/bin -name '*.map' -delete

# The bundle needs no node_modules: what it leaves out is the embedded database, binaries and all, which production does not use.
FROM node:24.14.0-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production \
    CONDUIT_HOST=0.0.0.0 \
    CONDUIT_SHUTDOWN_SETTLE="5 seconds" \
    LOG_FORMAT=json
COPY --from=build /build/dist/bin ./
COPY LICENSE ./
USER node
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["node", "/app/conduit.js", "healthcheck"]
ENTRYPOINT ["node", "/app/conduit.js"]
CMD ["serve"]
