# Build: all packages, TypeScript to JavaScript, then only what runs.
FROM node:24-slim AS build
WORKDIR /crawlgate
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
# Without scripts: the sources that `prepare` would build come later, so that this layer is kept while only they change.
RUN npm ci --ignore-scripts
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production \
    CRAWLGATE_HOST=0.0.0.0
WORKDIR /crawlgate
# The CA and the keys are made at the first start, in volumes: none is ever part of an image.
RUN mkdir certs data && chown node:node certs data
COPY --from=build /crawlgate/package.json ./
COPY --from=build /crawlgate/node_modules ./node_modules
COPY --from=build /crawlgate/dist ./dist
COPY config ./config
USER node
VOLUME ["/crawlgate/certs", "/crawlgate/data"]
EXPOSE 8010
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.CRAWLGATE_PORT || 8010}/`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve", "--config", "config/crawlgate.yaml"]
